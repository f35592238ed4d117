import pytest

from llmbatch_contract.categories import MEANINGS, STOPS_BY_DEFAULT, Category, Rule, rule_of


def test_every_category_has_a_rule_and_a_meaning() -> None:
    assert set(MEANINGS) == set(Category)
    assert all(text for _, text in MEANINGS.values())


def test_the_categories_that_no_item_can_survive_stop_the_batch() -> None:
    assert set(STOPS_BY_DEFAULT) == {
        Category.AUTH,
        Category.PERMISSION,
        Category.QUOTA_EXHAUSTED,
        Category.MODEL_NOT_FOUND,
    }


@pytest.mark.parametrize(
    ("category", "rule"),
    [
        pytest.param(Category.RATE_LIMITED, Rule.RETRY, id="a 429 is asked again"),
        pytest.param(Category.OVERLOADED, Rule.RETRY, id="an overloaded endpoint is asked again"),
        pytest.param(Category.SERVER_ERROR, Rule.RETRY, id="a server error is asked again"),
        pytest.param(Category.TIMEOUT, Rule.RETRY, id="a timeout is asked again"),
        pytest.param(Category.CONNECTION, Rule.RETRY, id="a broken connection is asked again"),
        pytest.param(Category.INVALID_OUTPUT, Rule.RETRY, id="another answer may fit the schema"),
        pytest.param(Category.UNKNOWN, Rule.RETRY, id="an unknown failure is asked again"),
        pytest.param(Category.AUTH, Rule.STOP, id="a wrong key stops"),
        pytest.param(Category.PERMISSION, Rule.STOP, id="a forbidden model stops"),
        pytest.param(Category.QUOTA_EXHAUSTED, Rule.STOP, id="a used-up quota stops"),
        pytest.param(Category.MODEL_NOT_FOUND, Rule.STOP, id="an unknown model stops"),
        pytest.param(Category.INVALID_REQUEST, Rule.GIVE_UP, id="a refused request is not repeated"),
        pytest.param(Category.CONTEXT_LENGTH, Rule.GIVE_UP, id="a prompt too long is not repeated"),
        pytest.param(Category.CONTENT_FILTER, Rule.GIVE_UP, id="a filtered prompt is not repeated"),
        pytest.param(Category.REFUSAL, Rule.GIVE_UP, id="a refusal is not repeated"),
        pytest.param(Category.TRUNCATED, Rule.GIVE_UP, id="a cut-off answer is not repeated"),
        pytest.param(Category.TEMPLATE_ERROR, Rule.GIVE_UP, id="a template that does not fit is not repeated"),
        pytest.param(Category.CANCELLED, Rule.GIVE_UP, id="a cancelled item is not repeated"),
        pytest.param(Category.DEADLINE, Rule.GIVE_UP, id="an item past the deadline is not repeated"),
    ],
)
def test_a_category_has_its_rule(category: Category, rule: Rule) -> None:
    assert rule_of(category) is rule


@pytest.mark.parametrize("category", list(Category))
def test_any_category_can_be_made_to_stop(category: Category) -> None:
    assert rule_of(category, (category,)) is Rule.STOP


@pytest.mark.parametrize("category", STOPS_BY_DEFAULT)
def test_a_stopping_category_that_is_not_listed_gives_up_on_the_item(category: Category) -> None:
    assert rule_of(category, ()) is Rule.GIVE_UP


@pytest.mark.parametrize("category", [c for c in Category if c not in STOPS_BY_DEFAULT])
def test_other_categories_keep_their_rule_whatever_is_listed(category: Category) -> None:
    assert rule_of(category, (Category.AUTH,)) is MEANINGS[category][0]


def test_a_category_reads_as_its_name_in_records() -> None:
    assert f"{Category.RATE_LIMITED}" == "rate_limited"
