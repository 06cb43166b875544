"""What a caller assumes as the joint fit takes it: priors as quadratics, noise as weights of the pixels."""
