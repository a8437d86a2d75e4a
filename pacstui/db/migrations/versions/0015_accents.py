"""Names and numbers are searched without regard to accents: the folded columns are made anew where it matters."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ACCENTS = dict.fromkeys(range(0x0300, 0x0370))
_LETTERS = str.maketrans({
    "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "TH", "æ": "ae",
    "Æ": "AE", "œ": "oe", "Œ": "OE", "ı": "i", "ħ": "h", "Ħ": "H", "ŧ": "t", "Ŧ": "T",
})  # fmt: skip
_STUDIES = (
    "SELECT id, patient_name, patient_id, accession, description FROM studies WHERE id > :after AND"
    " (patient_name || patient_id || accession || description) GLOB :other ORDER BY id LIMIT 1000"
)
_OTHER = "*[^ -~]*"


def _fold(text: str) -> str:
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", text).translate(_ACCENTS).translate(_LETTERS))
    return " ".join(text.casefold().replace("^", " ").replace(",", " ").split())


def _names(name: str) -> tuple[str, str]:
    keys = [key for key in (_fold(group) for group in name.split("=")) if key]
    return (keys[0] if keys else ""), (keys[1] if len(keys) > 1 else "")


def upgrade() -> None:
    connection = op.get_bind()
    after = 0
    while rows := connection.execute(sa.text(_STUDIES), {"after": after, "other": _OTHER}).fetchall():
        after = rows[-1][0]
        for key, name, patient_id, accession, description in rows:
            first, second = _names(name)
            search = "\n".join(_fold(text) for text in (name.replace("=", " "), patient_id, accession, description))
            connection.execute(
                sa.text(
                    "UPDATE studies SET name_key=:first, other_name_key=:second, patient_id_key=:patient_id,"
                    " accession_key=:accession, search=:search WHERE id=:id"
                ),
                {
                    "first": first, "second": second, "patient_id": _fold(patient_id), "accession": _fold(accession),
                    "search": search, "id": key,
                },
            )  # fmt: skip
    after = 0
    patients = sa.text("SELECT id, name FROM patients WHERE id > :after AND name GLOB :other ORDER BY id LIMIT 1000")
    while rows := connection.execute(patients, {"after": after, "other": _OTHER}).fetchall():
        after = rows[-1][0]
        for key, name in rows:
            connection.execute(
                sa.text("UPDATE patients SET name_key=:name WHERE id=:id"), {"name": _names(name)[0], "id": key}
            )


def downgrade() -> None:
    """The former columns are a little narrower; nothing depends on them."""
