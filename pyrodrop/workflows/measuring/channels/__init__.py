"""The channels of an image beside those that were measured. Nothing here is fitted."""
