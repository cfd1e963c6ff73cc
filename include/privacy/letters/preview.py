"""Every letter with made-up facts as files, for whoever edits the texts."""

from __future__ import annotations

from pathlib import Path

from include.privacy.letters.checking import letter_problems
from include.privacy.letters.rendering import Letters
from include.privacy.letters.samples import samples
from include.privacy.policy.letters import LetterConfig
from include.privacy.policy.problems import ConfigError


def write_previews(config: LetterConfig, timezone: str, into: Path) -> int:
    """Write all letters as text and HTML into a folder per language; returns how many letters.

    Raises ``ConfigError`` when the texts have problems.
    """
    if problems := letter_problems(config, timezone):
        raise ConfigError(problems)
    writer, written = Letters(config, timezone), 0
    for language in config.head.languages:
        (into / language).mkdir(parents=True, exist_ok=True)
        for number, facts in enumerate(samples(), start=1):
            letter = writer.render(facts.kind, facts, language=language)
            name = into / language / f"{letter.kind}-{number:02}"
            name.with_suffix(".txt").write_text(f"{letter.subject}\n\n{letter.text}", encoding="utf-8")
            name.with_suffix(".html").write_text(letter.html, encoding="utf-8")
            written += 1
    return written
