"""What alerting does a moment after on-call asked for it."""

from __future__ import annotations

from mainstay.alerting.contact_messages import put_code, put_tests
from mainstay.store.followers import follow
from mainstay.store.journal import Entry
from mainstay.store.work import Work


@follow("alerting.contacts", "contact.code_asked", "contact.test_asked")
def write_to_person(work: Work, entry: Entry) -> None:
    """The code, or the tests, that a person asked for."""
    person = entry.subject.partition("/")[2]
    if entry.kind == "contact.code_asked":
        put_code(work, person, int(entry.data["index"]))
    else:
        put_tests(work, person)
