"""A database that has nothing to do with the platform: a club that lends bicycles. 24 tables and a view."""

from __future__ import annotations

from uuid import UUID, uuid5

import psycopg

SCHEMA = """
CREATE TABLE members (
    id uuid PRIMARY KEY, mail varchar(120) NOT NULL UNIQUE, given_name text NOT NULL, surname text NOT NULL,
    phone text, dob date, joined timestamptz NOT NULL, closed_at timestamptz, deleted_at timestamptz,
    preferences jsonb NOT NULL DEFAULT '{}', lang text, invited_by uuid REFERENCES members);
CREATE TABLE member_logins (
    member_id uuid PRIMARY KEY REFERENCES members ON DELETE CASCADE, pwd_hash text NOT NULL, last_ip inet);
CREATE TABLE addresses (
    id serial PRIMARY KEY, member_id uuid NOT NULL REFERENCES members, street text, city text, zip text,
    is_deleted boolean NOT NULL DEFAULT false);
CREATE TABLE stations (id serial PRIMARY KEY, title text NOT NULL, docks integer NOT NULL);
CREATE TABLE tariffs (code text PRIMARY KEY, title text NOT NULL, cents integer NOT NULL);
CREATE TABLE bikes (id serial PRIMARY KEY, model text NOT NULL, station_id integer REFERENCES stations);
CREATE TABLE rentals (
    id bigserial PRIMARY KEY, member_id uuid NOT NULL REFERENCES members, bike_id integer REFERENCES bikes,
    tariff_code text NOT NULL REFERENCES tariffs, started_at timestamptz NOT NULL, ended_at timestamptz);
CREATE TABLE rental_points (
    rental_id bigint REFERENCES rentals, seq integer, lat numeric NOT NULL, lon numeric NOT NULL,
    PRIMARY KEY (rental_id, seq));
CREATE TABLE payments (
    id bigserial PRIMARY KEY, rental_id bigint NOT NULL REFERENCES rentals, cents integer NOT NULL,
    gateway_customer_id text, raw jsonb NOT NULL, paid_at timestamptz);
CREATE TABLE damage_reports (
    id bigserial PRIMARY KEY, rental_id bigint REFERENCES rentals, reporter_id uuid REFERENCES members,
    words text NOT NULL);
CREATE TABLE damage_photos (
    report_id bigint REFERENCES damage_reports, n integer, image bytea NOT NULL, PRIMARY KEY (report_id, n));
CREATE TABLE crews (id serial PRIMARY KEY, title text NOT NULL, created_by uuid REFERENCES members);
CREATE TABLE crew_members (
    crew_id integer REFERENCES crews, member_id uuid REFERENCES members, PRIMARY KEY (crew_id, member_id));
CREATE TABLE messages (
    id bigserial PRIMARY KEY, sender_id uuid NOT NULL REFERENCES members,
    recipient_id uuid NOT NULL REFERENCES members, body text NOT NULL);
CREATE TABLE friendships (
    member_id uuid REFERENCES members, friend_id uuid REFERENCES members, PRIMARY KEY (member_id, friend_id));
-- No foreign keys from here on: only what the columns are called.
CREATE TABLE ratings (
    id bigserial PRIMARY KEY, member_uuid uuid NOT NULL, bike_id integer NOT NULL, stars integer, words text);
CREATE TABLE push_devices (
    id bigserial PRIMARY KEY, memberid uuid NOT NULL, token text NOT NULL, platform text);
CREATE TABLE events (
    id bigserial PRIMARY KEY, user_id uuid, name text NOT NULL, props jsonb NOT NULL, at timestamptz);
CREATE TABLE waitlist (email text PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE sms_log (id bigserial PRIMARY KEY, phone text NOT NULL, words text NOT NULL);
CREATE TABLE staff_users (id serial PRIMARY KEY, email text NOT NULL, full_name text NOT NULL);
CREATE TABLE support_cases (
    id bigserial PRIMARY KEY, member_id uuid REFERENCES members, contact_mail text NOT NULL,
    subject text NOT NULL, handled_by integer REFERENCES staff_users);
CREATE TABLE case_notes (
    case_id bigint REFERENCES support_cases, n integer, body text NOT NULL, PRIMARY KEY (case_id, n));
CREATE TABLE faq (id serial PRIMARY KEY, question text NOT NULL, answer text NOT NULL);
CREATE MATERIALIZED VIEW board AS
    SELECT m.id AS member_id, m.surname, count(r.id) AS rides
    FROM members m JOIN rentals r ON r.member_id = m.id GROUP BY 1, 2;
CREATE UNIQUE INDEX board_member ON board (member_id);
"""
PEOPLE = 12


def key(person: int) -> UUID:
    """The key of a member."""
    return uuid5(UUID(int=0), str(person))


def marks(person: int) -> list[str]:
    """What is this person's in the database, wherever it stands."""
    return [str(key(person)), mail(person), phone(person), f"Marker{letters(person)}"]


def mail(person: int) -> str:
    """Their address."""
    return f"rider{person}@mail{person}.example.org"


def phone(person: int) -> str:
    """Their number."""
    return f"+49 30 9018 20{person:02d}"


def letters(person: int) -> str:
    """A number in letters: names have no digits."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{person:02d}")


def fill(dsn: str) -> None:
    """Everybody rides, writes to the next one, and asks support by address."""
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(SCHEMA.encode())
        db.execute("INSERT INTO stations (title, docks) VALUES ('North', 4), ('South', 8)")
        db.execute("INSERT INTO tariffs VALUES ('day', 'A day', 900)")
        db.execute("INSERT INTO bikes (model, station_id) VALUES ('City', 1), ('Cargo', 2)")
        db.execute("INSERT INTO staff_users (email, full_name) VALUES ('ops@club.example.net', 'Olga Ops')")
        for n in range(4):
            db.execute(
                "INSERT INTO faq (question, answer) VALUES (%s, %s)",
                (
                    f"How do I unlock bike {n}?",
                    "You open the app, scan the code below the saddle and pull the lever.",
                ),
            )
        for n in range(PEOPLE):
            _person(db, n)
        for n in range(PEOPLE):
            _life(db, n)
        db.execute("REFRESH MATERIALIZED VIEW board")


def _person(db: psycopg.Connection[tuple[object, ...]], n: int) -> None:
    db.execute(
        "INSERT INTO members VALUES (%s, %s, %s, %s, %s, '1990-01-01', now(), NULL, NULL, %s, 'de', %s)",
        (
            key(n),
            mail(n),
            "Rita",
            f"Marker{letters(n)}",
            phone(n),
            f'{{"copy_to": "{mail(n)}"}}',
            key(n - 1) if n else None,
        ),
    )


def _life(db: psycopg.Connection[tuple[object, ...]], n: int) -> None:
    me, other, name = key(n), key((n + 1) % PEOPLE), f"Marker{letters(n)}"
    said = f"This is what {name} wanted to say about it, and more than that."
    one = [
        ("INSERT INTO member_logins VALUES (%s, %s, %s)", (me, "$2b$12$" + "a" * 53, f"203.0.113.{n}")),
        (
            "INSERT INTO addresses (member_id, street, city, zip) VALUES (%s, %s, 'Ulm', '89073')",
            (me, f"{name} 1"),
        ),
        (
            "INSERT INTO rentals (member_id, bike_id, tariff_code, started_at) VALUES (%s, 1, 'day', now())",
            (me,),
        ),
        ("INSERT INTO rental_points SELECT max(id), 1, 48.4, 9.99 FROM rentals", ()),
        (
            "INSERT INTO payments (rental_id, cents, gateway_customer_id, raw)"
            " SELECT max(id), 900, %s, %s FROM rentals",
            (f"cus_{letters(n) * 6}", f'{{"payer": "{mail(n)}"}}'),
        ),
        (
            "INSERT INTO damage_reports (rental_id, reporter_id, words) SELECT max(id), %s, %s FROM rentals",
            (me, said),
        ),
        ("INSERT INTO damage_photos SELECT max(id), 1, %s FROM damage_reports", (name.encode(),)),
        ("INSERT INTO crews (title, created_by) VALUES ('Crew', %s)", (me,)),
        ("INSERT INTO crew_members SELECT max(id), %s FROM crews", (me,)),
        ("INSERT INTO crew_members SELECT max(id), %s FROM crews", (other,)),
        ("INSERT INTO messages (sender_id, recipient_id, body) VALUES (%s, %s, %s)", (me, other, said)),
        ("INSERT INTO friendships VALUES (%s, %s)", (me, other)),
        ("INSERT INTO ratings (member_uuid, bike_id, stars, words) VALUES (%s, 1, 5, %s)", (me, said)),
        (
            "INSERT INTO push_devices (memberid, token, platform) VALUES (%s, %s, 'ios')",
            (me, f"{name}token0123456789"),
        ),
        (
            "INSERT INTO events (user_id, name, props, at) VALUES (%s, 'open', %s, now())",
            (me, f'{{"mail": "{mail(n)}"}}'),
        ),
        ("INSERT INTO waitlist VALUES (%s, now())", (mail(n),)),
        ("INSERT INTO sms_log (phone, words) VALUES (%s, %s)", (phone(n), said)),
        ("INSERT INTO support_cases (contact_mail, subject, handled_by) VALUES (%s, %s, 1)", (mail(n), said)),
        ("INSERT INTO case_notes SELECT max(id), 1, %s FROM support_cases", (said,)),
    ]
    for statement, parameters in one:
        db.execute(statement.encode(), parameters or None)
