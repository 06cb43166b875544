"""What a result begins with follows from the check, from what is unlike anything known, and from the count."""

from pyrodrop.results.checks.trust import ALARM, trust_of

UNLIKE = ("of 40 things few are",)


def test_a_model_that_explains_the_image_is_good() -> None:
    trust = trust_of(12, 14, (), rings=0.4, neighbours=0.3)
    assert (trust.level, trust.because, trust.p_value) == ("good", "", 0.6)
    assert trust.sentence == "good: the model explains the image"
    assert trust.as_dict() == {"level": "good", "sentence": trust.sentence, "p_value": 0.6}


def test_the_check_alarms_below_its_level_and_says_which_part() -> None:
    just, over = (trust_of(12, 14, (), rings=p, neighbours=0.9) for p in (0.51 * ALARM, 0.49 * ALARM))
    assert just.level == "good"
    assert over.level == "look"
    assert "droplets are not as their profile says" in over.sentence
    assert "structure" in trust_of(12, 14, (), rings=0.9, neighbours=0.001).sentence


def test_what_is_unlike_anything_known_outweighs_the_check() -> None:
    for p in (0.001, 0.9):
        trust = trust_of(12, 14, UNLIKE, rings=p, neighbours=p)
        assert trust.level == "not reliable"
        assert trust.sentence == "the count is not reliable because, of 40 things few are"


def test_other_warnings_ask_for_a_look() -> None:
    trust = trust_of(12, 14, (), ("hot pixels", "blocks"), 0.4, 0.3)
    assert trust.sentence == "look at the overlay: hot pixels"


def test_without_droplets_there_is_no_evidence_of_them() -> None:
    assert trust_of(0, 2, (), rings=0.5, neighbours=0.5).sentence == "no evidence of droplets"
    assert trust_of(0, 2, UNLIKE, rings=0.5, neighbours=0.001).level == "none"
    assert trust_of(0, 2, ()).p_value is None


def test_where_there_may_be_more_than_twice_as_many_the_count_is_no_number() -> None:
    assert trust_of(12, 24, (), rings=0.5, neighbours=0.5).level == "good"
    trust = trust_of(12, 25, (), rings=0.5, neighbours=0.5)
    assert trust.level == "not reliable"
    assert "more than twice as many" in trust.sentence
    assert "25" in trust.sentence
    assert trust_of(0, 25, ()).level == "none"
