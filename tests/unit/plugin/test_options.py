import pytest

from pytest_batchguard.errors import ConfigurationError
from pytest_batchguard.plugin import options
from tests.unit.plugin.configuration import Configuration

SWITCHES = ["", "update", "update_new", "prune", "require_gpu", "strict", "tune", "tune_fresh"]
DEFAULTS = {
    "against": None,
    "baselines": "batchguard-baselines",
    "device": "auto",
    "memory_budget": None,
    "json": None,
    "steps": 20,
    "warmup": 5,
    "seed": 0,
    "repeats": 5,
    "tune_multiple": 1,
    "tune_time_limit": 30.0,
    "timeout": 300.0,
    "throughput_tolerance": 0.1,
    "memory_tolerance": 0.05,
    "loss_tolerance": 0.3,
    "start_method": "auto",
}
READ = [
    ("against", "origin/main", "origin/main"),
    ("baselines", "some/folder", "some/folder"),
    ("device", "gpu:1", "gpu:1"),
    ("memory_budget", "80%", "80%"),
    ("json", "run.json", "run.json"),
    ("tune_multiple", "8", 8),
    ("tune_time_limit", "90", 90.0),
    ("steps", "4", 4),
    ("warmup", "1", 1),
    ("seed", "0", 0),
    ("repeats", "1", 1),
    ("timeout", "0.5", 0.5),
    ("throughput_tolerance", "20%", 0.2),
    ("memory_tolerance", "0", 0.0),
    ("loss_tolerance", "1", 1.0),
]
REFUSED = [
    ("steps", "3", "a whole number from 4 up"),
    ("steps", "20.0", "a whole number from 4 up"),
    ("steps", "many", "a whole number from 4 up"),
    ("warmup", "0", "a whole number from 1 up"),
    ("seed", "-1", "a whole number from 0 to 4294967295"),
    ("seed", "4294967296", "a whole number from 0 to 4294967295"),
    ("repeats", "0", "a whole number from 1 up"),
    ("tune_multiple", "0", "a whole number from 1 up"),
    ("tune_time_limit", "0", "seconds, more than 0"),
    ("timeout", "0", "seconds, more than 0"),
    ("timeout", "1e7", "seconds, more than 0 and at most 1000000"),
    ("timeout", "-5", "seconds, more than 0"),
    ("timeout", "soon", "seconds, more than 0"),
    ("timeout", "nan", "seconds, more than 0"),
    ("timeout", "inf", "seconds, more than 0"),
    ("throughput_tolerance", "-1%", "a fraction such as 0.1 or a percentage such as 10%"),
    ("memory_tolerance", "ten", "a fraction such as 0.1 or a percentage such as 10%"),
    ("loss_tolerance", "11", "a fraction such as 0.1 or a percentage such as 10%"),
]


def key(name):
    return f"batchguard_{name}" if name else "batchguard"


def value(name, **given):
    return options.value(Configuration(**given), key(name))


def test_every_option_starts_with_the_plugins_name():
    assert all(option.flag.startswith("--batchguard") for option in options.OPTIONS)


def test_every_option_is_covered_here():
    assert {option.name for option in options.OPTIONS} == {key(name) for name in (*SWITCHES, *DEFAULTS)}


def test_flag_and_ini_key_have_one_name():
    (option,) = [option for option in options.OPTIONS if option.name == "batchguard_update_new"]
    assert option.flag == "--batchguard-update-new"


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_option_that_is_not_given_has_its_default(name, default):
    assert value(name) == default


@pytest.mark.parametrize("name", SWITCHES)
def test_switch_that_is_not_given_is_off(name):
    assert value(name) is False


@pytest.mark.parametrize("name", SWITCHES)
def test_switch_is_on_by_its_flag(name):
    assert value(name, flags={name: True}) is True


@pytest.mark.parametrize(
    ("text", "on"), [("true", True), ("1", True), ("Yes", True), (" on ", True), ("false", False), ("0", False)]
)
@pytest.mark.parametrize("name", SWITCHES)
def test_switch_is_read_from_ini(name, text, on):
    assert value(name, ini={name: text}) is on


def test_switch_that_ini_turns_on_stays_on_beside_the_flag():
    assert value("strict", flags={"strict": True}, ini={"strict": "false"}) is True


@pytest.mark.parametrize(("name", "text", "read"), READ)
def test_flag_is_read(name, text, read):
    assert value(name, flags={name: text}) == read


@pytest.mark.parametrize(("name", "text", "read"), READ)
def test_ini_key_is_read(name, text, read):
    assert value(name, ini={name: text}) == read


@pytest.mark.parametrize(("name", "text", "read"), [("steps", "8", 8), ("timeout", "7", 7.0), ("device", "cpu", "cpu")])
def test_flag_beats_ini(name, text, read):
    assert value(name, flags={name: text}, ini={name: "9"}) == read


@pytest.mark.parametrize("name", ["steps", "memory_budget", "strict", "baselines"])
def test_ini_key_that_is_empty_is_not_given(name):
    assert value(name, ini={name: ""}) == value(name)


@pytest.mark.parametrize("method", ["auto", "fork", "spawn"])
def test_start_method_is_read_from_ini(method):
    assert value("start_method", ini={"start_method": method}) == method


def test_start_method_has_no_flag():
    (option,) = [option for option in options.OPTIONS if not option.has_flag]
    assert option.name == "batchguard_start_method"
    assert value("start_method", flags={"start_method": "spawn"}) == "auto"


@pytest.mark.parametrize(("name", "text", "allowed"), REFUSED)
def test_flag_that_cannot_be_read_is_a_usage_error_that_names_it(name, text, allowed):
    with pytest.raises(pytest.UsageError) as caught:
        options.check_all(Configuration(flags={name: text}))
    assert str(caught.value).startswith(f"--batchguard-{name.replace('_', '-')}: ")
    assert repr(text) in str(caught.value)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [*REFUSED, ("strict", "maybe", "true or false"), ("start_method", "thread", "auto, fork or spawn")],
)
def test_ini_key_that_cannot_be_read_is_a_usage_error_that_names_it(name, text, allowed):
    with pytest.raises(pytest.UsageError) as caught:
        options.check_all(Configuration(ini={name: text}))
    assert str(caught.value).startswith(f"ini key batchguard_{name}: ")
    assert repr(text) in str(caught.value)
    assert allowed in str(caught.value)


def test_ini_key_that_cannot_be_read_is_an_error_even_where_the_flag_beats_it():
    with pytest.raises(pytest.UsageError, match="ini key batchguard_steps"):
        options.check_all(Configuration(flags={"steps": "8"}, ini={"steps": "many"}))


def test_options_that_are_good_pass_the_check():
    options.check_all(Configuration(flags={"steps": "8", "update": True}, ini={"strict": "true", "timeout": "5"}))


@pytest.mark.parametrize("name", ["", "update", "update_new", "prune"])
def test_guards_run_where_it_is_asked_for(name):
    assert options.guards_run(Configuration(flags={name: True}))
    assert options.guards_run(Configuration(ini={name: "true"}))


@pytest.mark.parametrize("name", ["strict", "require_gpu"])
def test_guards_do_not_run_for_options_that_only_say_how(name):
    assert not options.guards_run(Configuration(flags={name: True}))


def test_guards_do_not_run_unasked():
    assert not options.guards_run(Configuration())
    assert not options.guards_run(Configuration(ini={"": "false", "steps": "5"}))


class Parser:
    """Records what is added; stands for pytest's parser and its option group."""

    def __init__(self):
        self.ini = {}
        self.flags = {}

    def getgroup(self, _name, _description):
        return self

    def addini(self, name, help, default):  # noqa: A002 -- pytest's name
        self.ini[name] = (help, default)

    def addoption(self, flag, **settings):
        self.flags[flag] = settings


def test_every_flag_has_an_ini_key_of_the_same_name():
    parser = Parser()
    options.add_options(parser)
    assert {flag[2:].replace("-", "_") for flag in parser.flags} == set(parser.ini) - {"batchguard_start_method"}


def test_no_flag_has_a_default_of_its_own_or_an_optional_value():
    parser = Parser()
    options.add_options(parser)
    assert {settings["default"] for settings in parser.flags.values()} == {None}
    assert not any("nargs" in settings for settings in parser.flags.values())


def test_help_has_no_escaped_percent_where_pytest_does_not_unescape_it():
    parser = Parser()
    options.add_options(parser)
    assert not any("%%" in help_ for help_, _ in parser.ini.values())
    assert all(
        "%" not in settings["help"].replace("%%", "") for settings in parser.flags.values() if "help" in settings
    )


def test_reader_that_refuses_says_what_is_allowed():
    with pytest.raises(ConfigurationError, match="found 'perhaps', allowed: true or false"):
        next(option for option in options.OPTIONS if option.metavar is None).read("perhaps")
