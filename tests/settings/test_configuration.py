"""Where the configuration comes from, what overrides what, and how mistakes are told."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.configuration import ConfigurationError, Loaded, data_dir, file, load
from pacstui.errors import SettingsError
from pacstui.settings import PeerSettings, Service, Settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no system-wide file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file, "SYSTEM_CONFIGURATION", tmp_path / "etc" / "pacstui.toml")
    return tmp_path


def written(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(path: Path | None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.problems
    assert caught.value.hint
    return list(caught.value.problems)


def test_without_any_file_the_defaults_hold(here: Path, nobodys_home: Path) -> None:
    loaded = load(None)
    assert loaded == Loaded(Settings(), None, [])
    assert loaded.settings.node.data_dir == nobodys_home / ".local" / "share" / "pacstui"
    assert data_dir() == loaded.settings.node.data_dir


def test_the_first_file_in_order_is_the_one_that_counts(
    here: Path, nobodys_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = written(here / "etc" / "pacstui.toml", "[dicom]\nport = 1")
    assert load(None).settings.dicom.port == 1
    written(nobodys_home / ".config" / "pacstui" / "pacstui.toml", "[dicom]\nport = 2")
    assert load(None).settings.dicom.port == 2
    written(here / "pacstui.toml", "[dicom]\nport = 3")
    assert load(None).settings.dicom.port == 3
    monkeypatch.setenv("PACSTUI_CONFIG", str(written(here / "named.toml", "[dicom]\nport = 4")))
    assert load(None).settings.dicom.port == 4
    assert load(written(here / "given.toml", "[dicom]\nport = 5")).settings.dicom.port == 5
    monkeypatch.setenv("PACSTUI_DICOM__PORT", "6")
    assert load(here / "given.toml").settings.dicom.port == 6
    assert load(system).source == system


def test_xdg_config_home_moves_the_users_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "xdg"))
    written(here / "xdg" / "pacstui" / "pacstui.toml", '[dicom]\nae_title = "XDG"')
    assert load(None).settings.dicom.ae_title == "XDG"


@pytest.mark.parametrize("through", ["argument", "environment"])
def test_a_named_file_that_is_not_there_is_a_mistake(here: Path, monkeypatch: pytest.MonkeyPatch, through: str) -> None:
    written(here / "pacstui.toml", "")
    missing = here / "absent.toml"
    if through == "environment":
        monkeypatch.setenv("PACSTUI_CONFIG", str(missing))
    found = problems(missing if through == "argument" else None)
    assert found == [f"{missing}: there is no such file"]


def test_every_mistake_is_told_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACSTUI_CONSOLE__REFRESH_S", "soon")
    monkeypatch.setenv("PACSTUI_DICOM__PRT", "5")
    file = written(
        here / "bad.toml",
        '[node]\ndata_dir = ""\n[dicom]\nae_title = "FAR_TOO_LONG_A_TITLE"\nprot = 5\nport = "abc"\n[dicmo]\nx = 1\n'
        '[archive]\nduplicates = "kep"\n'
        '[[peers]]\nname = "CT1"\nae_title = "CT1"\nhost = "a b"\n'
        '[[peers]]\nname = " CT1 "\nport = true\n'
        '[[routes]]\nname = "r"\nto = ["CT2"]\n'
        '[backups]\ntargets = [{name = "a", url = "ftp://x"}]\n',
    )
    found = [problem.replace(str(file), "F") for problem in problems(file)]
    expected = [
        'F:2: node.data_dir: "": ',
        "F:4: dicom.ae_title: ",
        'F:5: dicom.prot: unknown key; did you mean "port"?',
        'F:6: dicom.port: expected a whole number from 0 to 65535, not "abc"',
        'F:7: dicmo: unknown section; did you mean "dicom"?',
        'F:10: archive.duplicates: expected one of "keep", "overwrite", "reject", not "kep"; did you mean "keep"?',
        'F:14: peers[0].host: "a b": ',
        "F:15: peers[1].ae_title: is missing",
        "F:15: peers[1].host: is missing",
        'F:16: peers[1].name: " CT1 " is the name of an earlier entry (line 12) already',
        "F:17: peers[1].port: expected a whole number from 1 to 65535, not true",
        'F:20: routes[0].to: "CT2" is not the name of a peer or destination; did you mean "CT1"?',
        "F:22: backups.targets[0].url: ",
        'PACSTUI_CONSOLE__REFRESH_S: console.refresh_s: expected a number from 0.2 to 60, not "soon"',
        'PACSTUI_DICOM__PRT: there is no such setting; did you mean "PACSTUI_DICOM__PORT"?',
    ]
    assert len(found) == len(expected)
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start), line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[dicom\n", "is no valid TOML"),
        ("[dicom]\nport = 1\nport = 2\n", "is no valid TOML"),
        (b"[dicom]\nae_title = '\xff'\n", ":2: is not UTF-8"),
        ("[dicom]\n".encode("utf-16"), "UTF-16"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = " + "9" * 5000, "is no valid TOML"),
        ("#" * 1_100_000, "longer than 1 MiB"),
    ],
)
def test_what_is_no_configuration_is_said_to_be_none(here: Path, text: str | bytes, says: str) -> None:
    found = problems(written(here / "x.toml", text))
    assert len(found) == 1
    assert says in found[0]


def test_a_folder_and_an_unreadable_name_are_mistakes(here: Path) -> None:
    assert "is a folder" in problems(here)[0]
    assert "cannot be read" in problems(Path("a\0b"))[0]


def test_byte_order_mark_and_windows_line_ends_are_tolerated(here: Path) -> None:
    file = written(
        here / "dos.toml",
        b"\xef\xbb\xbf[dicom]\r\nport = 104\r\n\r\n[[peers]]\r\nname='A'\r\nae_title = 'A'\r\nhost = 'h'\r\n",
    )
    loaded = load(file)
    assert (loaded.settings.dicom.port, loaded.settings.peers[0].host) == (104, "h")


def test_a_relative_data_dir_counts_from_its_file_and_from_here_in_the_environment(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(here / "etc" / "node.toml", '[node]\ndata_dir = "../data"')
    assert load(file).settings.node.data_dir == here / "data"
    assert data_dir(file) == here / "data"
    monkeypatch.setenv("PACSTUI_NODE__DATA_DIR", "scratch")
    assert load(file).settings.node.data_dir == here / "scratch"
    assert data_dir(file) == here / "scratch"


def test_a_tilde_is_the_home_folder(here: Path, nobodys_home: Path) -> None:
    file = written(here / "node.toml", '[node]\ndata_dir = "~/pacs"')
    assert load(file).settings.node.data_dir == nobodys_home / "pacs"
    assert data_dir(file) == nobodys_home / "pacs"


def test_data_dir_alone_does_not_mind_mistakes_elsewhere_but_its_own(here: Path) -> None:
    assert data_dir(written(here / "a.toml", '[dicom]\nport = "x"\n[node]\ndata_dir = "/d"')) == Path("/d")
    with pytest.raises(SettingsError):
        data_dir(written(here / "b.toml", "[node]\ndata_dir = 7"))
    with pytest.raises(SettingsError):
        data_dir(here / "absent.toml")


def test_the_environment_sets_lists_booleans_and_text(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACSTUI_DICOM__ALIASES", '["PACS", "OLD"]')
    monkeypatch.setenv("PACSTUI_DICOM__CHECK_CALLED_AE", "no")
    monkeypatch.setenv("PACSTUI_DICOM__AE_TITLE", "12345")
    monkeypatch.setenv("PACSTUI_DICOM__ARTIM_S", "5")
    monkeypatch.setenv("PACSTUI_PEERS", '[{"name": "CT1", "ae_title": "CT1", "host": "::1"}]')
    monkeypatch.setenv("PACSTUI_BACKUPS__TARGETS", '[{"name": "nas", "url": "/mnt/nas"}]')
    found = load(None).settings
    assert found.dicom.aliases == ("PACS", "OLD")
    assert (found.dicom.check_called_ae, found.dicom.ae_title, found.dicom.artim_s) == (False, "12345", 5.0)
    assert found.peers[0].port == 104
    assert found.backups.targets[0].name == "nas"


def test_a_variable_with_one_underscore_too_few_is_remarked_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACSTUI_DICOM_PORT", "tcp://10.0.0.1:11112")
    loaded = load(None)
    assert loaded.settings.dicom.port == 11112
    assert "PACSTUI_DICOM__PORT" in loaded.notes[0]


def test_senders_of_hl7_are_named_once_and_have_addresses(here: Path) -> None:
    sender = '[[hl7.senders]]\nname = "RIS"\nhosts = ["10.1.2.0/24", "::1"]\n'
    assert load(written(here / "a.toml", sender)).settings.hl7.senders[0].hosts == ("10.1.2.0/24", "::1/128")
    with pytest.raises(SettingsError) as twice:
        load(written(here / "b.toml", sender + sender.replace("::1", "ris.example.org")))
    told = "\n".join(twice.value.problems)
    assert "10.1.2.0/24" in told
    with pytest.raises(SettingsError):
        load(written(here / "c.toml", sender + sender))


def test_being_open_to_everybody_or_nobody_is_remarked_on(here: Path) -> None:
    open_to_all = load(written(here / "a.toml", '[dicom]\nhost = "0.0.0.0"\nunknown_callers = "all"'))
    assert "whoever reaches 0.0.0.0 may send objects, search for patients, fetch images" in open_to_all.notes[0]
    assert '"loopback"' in open_to_all.notes[0]
    less = load(
        written(here / "c.toml", '[dicom]\nhost = "::"\nunknown_callers = "all"\nunknown_allow = ["echo", "store"]')
    )
    assert "whoever reaches :: may send objects; make" in less.notes[0]
    open_to_none = load(written(here / "b.toml", '[dicom]\nunknown_callers = "none"'))
    assert "nobody may associate" in open_to_none.notes[0]


def test_titles_and_names_lose_their_blanks(here: Path) -> None:
    file = written(here / "a.toml", '[[peers]]\nname = " CT "\nae_title = "  MOD1 "\nhost = " h "')
    peer = load(file).settings.peers[0]
    assert (peer.name, peer.ae_title, peer.host) == ("CT", "MOD1", "h")


def test_a_mistake_holds_no_escape_sequence(here: Path) -> None:
    found = problems(written(here / "a.toml", '[dicom]\nport = "\\u001b[2J"\n"\\u009b" = 1'))
    assert all(line.isprintable() for line in found)


_KEYS = st.sampled_from(
    ["node", "dicom", "archive", "peers", "routes", "backups", "hl7", "data_dir", "port", "name", "to", "targets", "x"]
)
_VALUES = st.recursive(
    st.one_of(
        st.integers().map(str),
        st.floats().map(lambda value: str(value) if value == value else "nan"),
        st.sampled_from(["true", "inf", "-nan", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", '""', "'\\'"]),
        st.text(st.characters(exclude_characters='"\\\n\r', exclude_categories=("Cs", "Cc")), max_size=20).map(
            lambda text: f'"{text}"'
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(_KEYS, inner, max_size=3).map(
            lambda table: "{" + ", ".join(f"{key} = {value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=200),
        st.dictionaries(_KEYS, _VALUES, max_size=5).map(
            lambda table: "\n".join(f"{key} = {value}" for key, value in table.items()).encode()
        ),
        st.lists(
            st.tuples(_KEYS, st.sampled_from(["[{}]", "[[{}]]"]), st.dictionaries(_KEYS, _VALUES, max_size=3)),
            max_size=4,
        ).map(
            lambda tables: "\n".join(
                form.format(name) + "\n" + "\n".join(f"{key} = {value}" for key, value in entries.items())
                for name, form, entries in tables
            ).encode()
        ),
    )
)
def test_junk_is_read_or_refused_and_nothing_else(here: Path, junk: bytes) -> None:
    file = written(here / "junk.toml", junk)
    for read in (load, data_dir):
        try:
            read(file)
        except SettingsError as fault:
            assert fault.problems
            assert not any(unicodedata.category(char) in ("Cc", "Cs") for line in fault.problems for char in line)
            assert isinstance(fault, ConfigurationError)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=40))
def test_junk_in_the_environment_is_read_or_refused(here: Path, junk: str) -> None:
    for name in ("DICOM__PORT", "DICOM__ALIASES", "PEERS", "NODE__DATA_DIR", "ROUTES", "DICOM", "NODE"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"PACSTUI_{name}", junk)
            try:
                load(None)
            except SettingsError as fault:
                assert fault.problems


def test_who_may_ask_for_the_worklist_may_tell_what_was_done() -> None:
    def allowed(*services: Service) -> tuple[str, ...]:
        return PeerSettings(name="CT1", ae_title="CT1", host="127.0.0.1", allow=services).allow

    assert allowed("echo", "worklist") == ("echo", "worklist", "mpps")
    assert allowed("mpps") == ("mpps",)
    assert allowed("store") == ("store",)
