"""What is wrong with the texts of ``config/letters/``: missing, broken, or silent about what must be said."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from zoneinfo import ZoneInfo

from jinja2 import TemplateError, TemplateSyntaxError, nodes

from include.privacy.letters.facts import FACTS, DecisionNeeded, Extended, Refused
from include.privacy.letters.kinds import LetterKind
from include.privacy.letters.rendering import (
    SUBJECT,
    Book,
    environment_of,
    sources,
)
from include.privacy.letters.samples import samples
from include.privacy.letters.words import FILE, Words, read_words
from include.privacy.policy.letters import LetterConfig
from include.privacy.policy.problems import Problem, suggestion

# In every letter: who writes, whom to ask, the two remedies (Art. 12(4) GDPR), and which request it is about.
ALWAYS = frozenset({"reference", "company", "contact", "authority", "court_remedy"})
_OPTIONAL = frozenset({"right", "received_on"})
_AMBIENT = frozenset({"language", "subject", "right_name", "next"})
# Whatever a mail program would fetch, run or submit, and with it tell somebody that the letter was read.
REMOTE = re.compile(
    r"<\s*(img|script|link|iframe|object|embed|video|audio|source|form|input|svg|base)\b"
    r"|<[^>]*\s(src|srcset|background|http-equiv|on[a-z]+)\s*=|\burl\s*\(|@import|javascript:",
    re.IGNORECASE,
)


def letter_problems(config: LetterConfig, timezone: str) -> list[Problem]:
    """Every problem of every language; none means that each letter can be written, in text and HTML."""
    found: list[Problem] = []
    for language in config.head.languages:
        found += _Language(config, language, timezone).problems()
    return found


class _Language:
    def __init__(self, config: LetterConfig, language: str, timezone: str) -> None:
        self.config = config
        self.language = language
        self.zone = ZoneInfo(timezone)
        self.sources = sources(config, language)
        self.trees: dict[str, nodes.Template] = {}

    def problems(self) -> Iterator[Problem]:
        words, found = read_words(self.config, self.language)
        yield from found
        broken = list(self._parse())
        yield from broken
        sound: set[LetterKind] = set()
        for kind in LetterKind:
            told = list(self._statements(kind))
            yield from told
            if not told:
                sound.add(kind)
        yield from self._unused()
        if words is not None and not found and not broken:
            yield from self._rendered(words, sound)

    def _parse(self) -> Iterator[Problem]:
        environment = environment_of(self.sources)
        environment.filters |= dict.fromkeys(("day", "moment", "ground", "compelling"), str)
        for name, source in sorted(self.sources.items()):
            if name.endswith(".yaml"):
                continue
            try:
                self.trees[name] = environment.parse(source)
                environment.compile(source, name)  # unknown filters are found here only
            except TemplateSyntaxError as error:
                fix = "see the shipped template, and https://jinja.palletsprojects.com/templates"
                yield self._at(name, error.lineno, f"Jinja2: {error.message}", fix)

    def _statements(self, kind: LetterKind) -> Iterator[Problem]:
        """That both forms exist, begin and name what they must, and name nothing else."""
        must, may = _vocabulary(kind)
        if f"{kind}.txt" in self.sources and not self.sources[f"{kind}.subject"]:
            yield self._at(f"{kind}.txt", 1, "has no subject", f"begin the first line with `{SUBJECT} …`")
        for name in (f"{kind}.txt", f"{kind}.html"):
            if name not in self.sources:
                origin = f"{self.config.head.default_language}/{name}"
                yield self._at(name, 1, "the file does not exist", f"write it; {origin} is an example")
                continue
            said: dict[str, tuple[str, int]] = {}
            for part in self._parts(name) | ({f"{kind}.subject"} if name.endswith(".txt") else set()):
                if name.endswith(".html") and not part.endswith(".html"):
                    yield self._at(name, 1, f"includes {part}, which is not escaped", "include an .html file")
                tree = self.trees.get(part)
                said |= {n: (part, line) for n, line in (_names(tree).items() if tree else ())}
            for unknown in sorted(said.keys() - must - may):
                part, line = said[unknown]
                yield self._at(
                    part, line, f"a letter {kind} knows no {unknown}", suggestion(unknown, must | may)
                )
            if name in self.trees:
                for silent in sorted(must - said.keys()):
                    yield self._at(
                        name, 1, f"does not say {silent}", f"put {{{{ {silent} }}}} where it belongs"
                    )

    def _parts(self, name: str) -> set[str]:
        """The template and all that it includes or extends, as far as they exist."""
        parts: set[str] = set()
        waiting = [name]
        while waiting:
            part = waiting.pop()
            if part in parts or part not in self.trees:
                continue
            parts.add(part)
            for node in self.trees[part].find_all((nodes.Include, nodes.Extends, nodes.Import)):
                named = getattr(node, "template", None)
                if isinstance(named, nodes.Const):
                    waiting.append(str(named.value))
        return parts

    def _unused(self) -> Iterator[Problem]:
        own = {
            n.removeprefix(f"{self.language}/")
            for n in self.config.texts
            if n.startswith(f"{self.language}/")
        }
        used = {FILE} | {p for k in LetterKind for end in ("txt", "html") for p in self._parts(f"{k}.{end}")}
        wanted = {f"{kind}.{end}" for kind in LetterKind for end in ("txt", "html")}
        for name in sorted(own - used - wanted):
            yield self._at(name, 1, "no letter uses this file", suggestion(name, wanted))

    def _rendered(self, words: Words, kinds: set[LetterKind]) -> Iterator[Problem]:
        """The first problem of each kind when it is written from made-up facts."""
        book = Book(self.config, self.language, words, self.zone)
        for facts in samples():
            if facts.kind not in kinds:
                continue
            try:
                letter = book.write(facts)
            except (
                TemplateError,
                ArithmeticError,
                LookupError,
                TypeError,
                ValueError,
                AttributeError,
            ) as error:
                name, line = self._where(error, facts.kind)
                reason = " ".join(str(error).split())[:200]
                problem = self._at(
                    name, line, f"does not render ({reason})", "correct the expression on this line"
                )
            else:
                found = REMOTE.search(letter.html)
                if not found:
                    continue
                why = "letters load and run nothing, and escape what people typed"
                problem = self._at(f"{facts.kind}.html", 1, f"holds {found.group()!r}: {why}", "remove it")
            kinds.discard(facts.kind)
            yield problem

    def _where(self, error: Exception, kind: LetterKind) -> tuple[str, int]:
        """The innermost template and line on the way to the error."""
        frames = traceback.extract_tb(error.__traceback__)
        inside = [(f.filename, f.lineno or 1) for f in frames if f.filename in self.sources]
        return inside[-1] if inside else (f"{kind}.txt", 1)

    def _at(self, name: str, line: int, message: str, fix: str) -> Problem:
        """A problem in a template; a subject stands in the first line of its text."""
        if name.endswith(".subject"):
            name, line = f"{name.removesuffix('.subject')}.txt", 1
        own = f"{self.language}/{name}"
        shared = name in self.config.texts and own not in self.config.texts
        return Problem(f"{self.config.folder}/{name if shared else own}", line, "(template)", message, fix)


def _vocabulary(kind: LetterKind) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """The variables that a letter of this kind must use, and those that it may."""
    model = FACTS[kind]
    must = set(model.model_fields) - _OPTIONAL | ALWAYS
    may = set(_OPTIONAL | _AMBIENT)
    if model is Refused:
        must = must - {"reason"} | {"why", "then"}
        may.add("reason")
    if model is Extended:
        must = must - {"reason"} | {"why"}
        may.add("reason")
    if model is DecisionNeeded:
        must = must - {"question"} | {"ask", "otherwise"}
        may.add("question")
    return must, may


def _names(tree: nodes.Template) -> dict[str, int]:
    """Variable → line of its first use, without those that the template sets itself."""
    found: dict[str, int] = {}
    own = {"loop", "self", "super", "caller", "varargs", "kwargs", "range", "dict", "namespace"}
    for node in tree.find_all(nodes.Name):
        if node.ctx in ("store", "param"):
            own.add(node.name)
        else:
            found.setdefault(node.name, node.lineno)
    return {name: line for name, line in found.items() if name not in own}
