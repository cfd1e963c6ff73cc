"""Whose a row is: the roles of each table, their paths, and what erasure does, as a first proposal."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from include.privacy.detection.patterns import label
from include.privacy.drafting.relations import Edge
from include.privacy.drafting.vocabulary import ACTING, PEOPLE, singular, singulars
from include.privacy.policy.live_schema import LiveSchema


@dataclass
class Role:
    """One subject of a table. ``cut``: columns that are set to null; none where the row is deleted.

    ``references``: the table through which it leads, with the role there; none for a column that holds the
    subject key or, with ``identifier``, an identifier. ``checks``: what somebody has to decide.
    """

    name: str
    columns: tuple[str, ...]
    references: str | None = None
    key: tuple[str, ...] | None = None
    role: str | None = None
    identifier: str | None = None
    cut: tuple[str, ...] = ()
    checks: list[str] = field(default_factory=list)

    @property
    def deletes(self) -> bool:
        """Whether the rows go with the person."""
        return not self.cut


Roles = dict[str, list[Role]]


@dataclass(frozen=True)
class Mail:
    """The column of a table that holds addresses; ``other``: likely of somebody but the row's owner."""

    column: str
    other: bool


class _Search:
    def __init__(
        self,
        live: LiveSchema,
        edges: Sequence[Edge],
        root: str,
        mail: Mapping[str, Mail],
        personal: Container[str],
    ) -> None:
        self.live, self.root, self.mail, self.personal = live, root, mail, personal
        self.key = live.tables[root].primary_key[0]
        self.roles: Roles = {root: [Role(_holder(root), (self.key,))]}
        self.outgoing: dict[str, list[Edge]] = {}
        for edge in edges:
            if live.tables[edge.table].kind in ("table", "materialised_view"):
                self.outgoing.setdefault(edge.table, []).append(edge)

    def run(self) -> Roles:
        self._owners()
        for name in [*(n for n in self.roles if n != self.root), self.root]:
            taken = {role.columns for role in self.roles[name]}
            for edge in self.outgoing.get(name, ()):
                if edge.references in self.roles and edge.columns not in taken:
                    self._add(name, self._along(edge, owner=False))
        self._close()
        return self.roles

    def _owners(self) -> None:
        """Whose each row is, from the root outwards; then by address where nothing else leads to anybody."""
        waiting = sorted((self.outgoing.keys() | self.mail.keys()) - {self.root})
        while waiting:
            found = self._known(waiting, patient=True) or self._known(waiting, patient=False)
            for name, edge in found.items():
                self._add(name, self._along(edge, owner=True))
                if name in self.mail and (self.mail[name].other or edge.nullable):
                    self._add(name, [self._by_address(name)])
            settled = set(found)
            if not settled:
                settled = {name for name in waiting if name in self.mail}
                for name in settled:
                    self._add(name, [self._by_address(name)])
            if not settled:
                return
            waiting = [name for name in waiting if name not in settled]

    def _known(self, waiting: Iterable[str], *, patient: bool) -> dict[str, Edge]:
        owners = {name: self._owner(name, patient=patient) for name in waiting}
        return {name: edge for name, edge in owners.items() if edge is not None}

    def _owner(self, name: str, *, patient: bool) -> Edge | None:
        """The edge to whoever the row belongs to; a ``patient`` look waits for a likelier one to be known."""
        ranked = sorted(self.outgoing.get(name, ()), key=self._rank)
        for edge in ranked:
            if self._direct(edge) or any(role.deletes for role in self.roles.get(edge.references, ())):
                return edge
            if patient and edge.references != name and self._reaches(edge.references, self.root):
                return None
        return None

    def _reaches(self, table: str, target: str) -> bool:
        seen, queue = {table}, [table]
        while queue:
            for edge in self.outgoing.get(queue.pop(), ()):
                if edge.references == target:
                    return True
                if edge.references not in seen:
                    seen.add(edge.references)
                    queue.append(edge.references)
        return False

    def _close(self) -> None:
        """Rows that are deleted in any role take what points at them along: a role for each.

        Not in a cycle: there the rows of both tables go in one statement.
        """
        order = sorted(self.roles, key=lambda n: sum(self._reaches(n, other) for other in self.roles))
        for name in order:
            for edge in self.outgoing.get(name, ()):
                if edge.references not in self.roles or self._direct(edge) or edge.references == name:
                    continue
                if self._reaches(edge.references, name):
                    continue
                have = {(role.columns, role.role) for role in self.roles[name]}
                self._add(
                    name, [r for r in self._along(edge, owner=False) if (r.columns, r.role) not in have]
                )

    def _add(self, name: str, new: Iterable[Role]) -> None:
        """No two roles of a table are called the same."""
        for role in new:
            roles = self.roles.setdefault(name, [])
            plain, number = role.name[:60], 2
            while role.name in {each.name for each in roles}:
                role.name, number = f"{plain}_{number}", number + 1
            roles.append(role)

    def _direct(self, edge: Edge) -> bool:
        return edge.references == self.root and edge.key == (self.key,)

    def _by_address(self, name: str) -> Role:
        found = self.mail[name]
        return Role(
            "addressee", (found.column,), identifier="email",
            checks=["found by address alone: whoever has it verified is the row's person"],
        )  # fmt: skip

    def _rank(self, edge: Edge) -> tuple[int, int, str]:
        """Lower is likelier the owner: a key called after the people, then what the row is a part of."""
        word = label(edge.columns[0])
        part = set(edge.columns) <= set(self.live.tables[edge.table].primary_key)
        if self._direct(edge) and not ACTING.fullmatch(word):
            rank = 1 if edge.nullable else 0
        elif self._direct(edge):
            rank = 6 if edge.nullable else 3 if _is_author(word) else 4
        elif edge.table == edge.references:
            rank = 8
        elif edge.nullable:
            rank = 7
        else:
            rank = 5 if not part and len(edge.columns) == 1 and self._has_author(edge.table) else 2
        return rank, int(edge.named), word

    def _has_author(self, table: str) -> bool:
        """Whether a person who wrote the row is always known: then that person is nearer than its place."""
        return any(
            self._direct(edge) and not edge.nullable and _is_author(label(edge.columns[0]))
            for edge in self.outgoing.get(table, ())
        )

    def _along(self, edge: Edge, *, owner: bool) -> list[Role]:
        """One role where the column holds the subject key; else one for each role that deletes the parent."""
        table = self.live.tables[edge.table]
        nullable = tuple(c for c in edge.columns if table.columns[c].nullable and table.kind == "table")
        acting = bool(ACTING.fullmatch(label(edge.columns[0])))
        # Whoever acted lets go of the row; but where it speaks of somebody else, it has to go.
        lets_go = acting and self._direct(edge) and edge.table not in self.personal
        cut = nullable if not owner or lets_go else ()
        notes: list[str] = []
        if edge.named:
            notes.append(f"no foreign key says so, only the name: does it lead to {edge.references}?")
        if not owner and not cut and table.kind == "table":
            notes.append(
                "the column cannot be empty, so the row goes with this person too: right for its owner?"
            )
        if self._direct(edge):
            name = _holder(self.root) if owner and not acting else _stem(edge.columns[0])
            return [Role(name, edge.columns, cut=cut, checks=notes)]
        # What stays when the other person goes needs nobody to go with it.
        parents = [role for role in self.roles[edge.references] if role.deletes]
        return [
            Role(
                parent.name if owner else f"{_stem(edge.columns[0])}_{parent.name}",
                edge.columns,
                edge.references,
                None if edge.key == self.live.tables[edge.references].primary_key else edge.key,
                parent.name,
                cut=cut,
                checks=list(notes),
            )
            for parent in parents
        ]


def find_roles(
    live: LiveSchema,
    edges: Sequence[Edge],
    root: str,
    mail: Mapping[str, Mail],
    personal: Container[str] = (),
) -> Roles:
    """Roles of every table that leads to a row of ``root``, the owner's first.

    ``mail``: tables with addresses of people who need not be the row's owner. ``personal``: tables with
    columns that are somebody's whoever points at them.
    """
    return _Search(live, edges, root, mail, personal).run()


def _is_author(word: str) -> bool:
    return word.startswith(("author", "creator", "created", "inviter", "sender", "seller"))


def _stem(column: str) -> str:
    word = label(column)
    for end in ("_id", "_uuid", "_key", "_ref"):
        word = word.removesuffix(end)
    return word or "other"


def _holder(root: str) -> str:
    found = sorted(singulars(label(root)) & PEOPLE)
    return found[0] if found else singular(label(root))
