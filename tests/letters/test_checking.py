"""``make check`` on letters that somebody has edited: what is wrong, in which file, and what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.privacy.__main__ import main
from include.privacy.letters.__main__ import main as preview
from include.privacy.letters.kinds import LetterKind
from include.privacy.policy.loading import ConfigError, load_config
from include.privacy.policy.problems import Problem

Problems = Callable[[], list[Problem]]
Change = Callable[[str, str, str], None]


def only(found: list[Problem]) -> Problem:
    (one,) = found
    return one


def test_the_shipped_letters_have_no_problem(problems: Problems) -> None:
    assert problems() == []


def test_a_missing_letter_is_named_with_the_example_to_follow(folder: Path, problems: Problems) -> None:
    (folder / "letters/de/refused.html").unlink()
    found = only(problems())
    assert found.file.endswith("letters/de/refused.html")
    assert found.fix == "write it; en/refused.html is an example"


def test_a_whole_missing_language_is_named_file_by_file(folder: Path, problems: Problems) -> None:
    for path in (folder / "letters/de").iterdir():
        path.unlink()
    found = problems()
    assert len(found) == 2 * len(LetterKind) + 1
    assert any(p.fix == "copy en/words.yaml and translate it" for p in found)


def test_a_letter_without_subject_is_refused(change: Change, problems: Problems) -> None:
    change("en/verify.txt", "Subject: Please confirm your {{ right_name }}", "Please confirm")
    found = only(problems())
    assert (found.file[-14:], found.line, found.message) == ("/en/verify.txt", 1, "has no subject")


def test_an_unknown_variable_is_told_with_line_and_likely_name(change: Change, problems: Problems) -> None:
    change("en/received.html", "{{ due_on | day }}", "{{ dueon | day }}")
    unknown, silent = sorted(problems(), key=lambda p: p.message, reverse=False)
    assert unknown.message == "a letter received knows no dueon"
    assert unknown.fix == "write due_on"
    assert unknown.line == 4
    assert silent.message == "does not say due_on"


def test_an_unknown_variable_in_a_branch_and_in_a_subject_is_found(
    change: Change, problems: Problems
) -> None:
    change(
        "en/completed.txt", "{{ residual_until | day }}", "{{ residual | day }} {{ residual_until | day }}"
    )
    change("de/expired.txt", "Ihr Archiv wurde gelöscht", "Ihr {{ archive }} wurde gelöscht")
    found = {(p.file.rsplit("/", 2)[-2], p.line): p for p in problems()}
    assert found["de", 1].message == "a letter expired knows no archive"
    assert found["en", 22].fix == "write residual_until"


@pytest.mark.parametrize("form", ["txt", "html"])
@pytest.mark.parametrize("name", ["authority", "court_remedy"])
def test_a_letter_that_leaves_out_a_remedy_is_refused(
    change: Change, problems: Problems, form: str, name: str
) -> None:
    old = "{{ court_remedy }}" if name == "court_remedy" else "{{ authority.name }}"
    change(f"en/remedies.{form}", old, "somebody")
    if name == "authority":
        change(f"en/remedies.{form}", "{{ authority.url }}", "somewhere")
    found = problems()
    assert {p.message for p in found} == {f"does not say {name}"}
    assert {p.file.rsplit("/", 1)[-1] for p in found} == {f"{kind}.{form}" for kind in LetterKind}


def test_a_refusal_that_leaves_out_its_reason_is_refused(change: Change, problems: Problems) -> None:
    change("de/refused.txt", "{{ why }}", "")
    assert only(problems()).fix == "put {{ why }} where it belongs"


def test_a_broken_expression_is_told_with_its_line(change: Change, problems: Problems) -> None:
    change("en/ready.txt", "{% endif %}\n{% if redacted", "{% endi %}\n{% if redacted")
    found = problems()
    assert {p.message.split(":")[0] for p in found} == {"Jinja2"}
    assert found[0].line == 17


def test_an_unknown_field_of_an_item_and_an_unknown_filter_are_told_with_their_lines(
    change: Change, problems: Problems
) -> None:
    change("en/corrected.html", "{{ item.why }}", "{{ item.because }}")
    found = only(problems())
    assert found.file.endswith("en/corrected.html")
    assert found.line == 18
    assert "because" in found.message
    change("en/verify.html", "link_expires_at | moment", "link_expires_at | hour")
    assert any("hour" in p.message for p in problems())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<p>Hello,</p>", '<img src="https://example.org/pixel.gif">', "<img"),
        ("<p>Hello,</p>", '<p style="background: url(https://example.org/x)">Hello,</p>', "url("),
        ("<p>Hello,</p>", '<p onclick="x()">Hello,</p>', "onclick"),
        ("{{ explanation }}", "{% autoescape false %}{{ explanation }}{% endautoescape %}", "<script"),
    ],
)
def test_an_html_letter_that_would_load_run_or_let_in_something_is_refused(
    change: Change, problems: Problems, old: str, new: str, told: str
) -> None:
    change("en/extended.html", old, new)
    found = only(problems())
    assert found.file.endswith("en/extended.html")
    assert told in found.message


def test_escaping_cannot_be_switched_off_for_a_value(change: Change, problems: Problems) -> None:
    change("en/extended.html", "{{ explanation }}", "{{ explanation | safe }}")
    assert any("'safe'" in p.message for p in problems())


def test_a_text_part_may_not_be_included_into_html(change: Change, problems: Problems) -> None:
    change("en/extended.html", "<h2>Why</h2>", '<h2>Why</h2>{% include "remedies.txt" %}')
    assert only(problems()).fix == "include an .html file"


def test_a_file_that_no_letter_uses_is_probably_misspelt(folder: Path, problems: Problems) -> None:
    (folder / "letters/en/recieved.txt").write_text("Subject: x\n")
    assert only(problems()).fix == "write received.txt"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  duplicate:\n", "  dublicate:\n", "add a text for duplicate"),
        ("months: [January, ", "months: [", "too_short"),
        ('date_form: "{day} {month} {year}"', 'date_form: "{day} {month}"', "lacks {year}"),
        ('date_form: "{day} {month} {year}"', 'date_form: "{day} {month} {year} {hour}"', "use only"),
        ("  objection_record:", "  objection_records:", "add a text for objection_record"),
    ],
)
def test_words_that_are_missing_or_malformed_are_told(
    change: Change, problems: Problems, old: str, new: str, told: str
) -> None:
    change("en/words.yaml", old, new)
    found = only(problems())
    assert found.file.endswith("letters/en/words.yaml")
    assert told in f"{found.message} {found.fix}" or (told == "too_short" and "at least 12" in found.message)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("default_language: en", "default_language: fr", "default_language must be one of languages"),
        ("languages: [en, de]", "languages: [en, de, fr]", "lacks a text for fr"),
        ("url: https://", "url: http://", "https://"),
        ("address: privacy@practice-engine.example", "address: privacy", "one plain e-mail address"),
        ("Engine – Privacy", "Engine, Privacy", "wrong form"),
    ],
)
def test_a_wrong_letterhead_is_told_when_the_configuration_is_read(
    folder: Path, change: Change, old: str, new: str, told: str
) -> None:
    change("letters.yaml", old, new)
    with pytest.raises(ConfigError) as caught:
        load_config(folder)
    found = only(caught.value.problems)
    assert found.file.endswith("letters/letters.yaml")
    assert told in f"{found.message} {found.fix}"


def test_without_letters_the_configuration_is_not_complete(folder: Path) -> None:
    (folder / "letters/letters.yaml").unlink()
    with pytest.raises(ConfigError, match=r"letters.yaml:1: .*does not exist"):
        load_config(folder)


def test_the_digest_follows_the_words_of_letters(folder: Path, change: Change) -> None:
    before = load_config(folder).digest
    change("de/footer.txt", "keine Werbung", "nie Werbung")
    assert load_config(folder).digest != before


def test_the_command_line_reports_letters_with_the_rest(
    folder: Path, change: Change, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(folder))
    change("en/refused.txt", "{{ then }}", "")
    assert main(["check"]) == 1
    assert "en/refused.txt:1: (template): does not say then; put {{ then }}" in capsys.readouterr().err


def test_all_letters_can_be_written_out_to_be_read(
    tmp_path: Path, folder: Path, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY_CONFIG_DIR", str(folder))
    assert preview(["--into", str(tmp_path / "out")]) == 0
    written = {path.name.split("-")[0] for path in (tmp_path / "out" / "de").glob("*.html")}
    assert written == set(LetterKind)
    change("en/refused.txt", "{{ then }}", "")
    assert preview(["--into", str(tmp_path / "other")]) == 1
    assert not (tmp_path / "other").exists()
