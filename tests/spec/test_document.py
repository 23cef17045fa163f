from awlab.spec.document import Document, Mark, dotted, has

DOCUMENT = Document(
    {"a": {"b": 1}},
    keys={("a",): Mark("f.yaml", 1, 1, "a:"), ("a", "b"): Mark("f.yaml", 2, 3, "  b: 1")},
    values={
        (): Mark("f.yaml", 1, 1, "a:"),
        ("a",): Mark("f.yaml", 2, 3, "  b: 1"),
        ("a", "b"): Mark("f.yaml", 2, 6, "  b: 1"),
    },
)


def test_a_problem_stands_at_the_value_or_at_its_key():
    found = DOCUMENT.problem(("a", "b"), "is wrong", hint="Do this.")
    assert (found.path, found.message, found.hint) == ("a.b", "is wrong", "Do this.")
    assert (found.file, found.line, found.column, found.source_line) == ("f.yaml", 2, 6, "  b: 1")
    assert DOCUMENT.problem(("a", "b"), "is wrong", at_key=True).column == 3


def test_a_problem_of_what_is_not_written_stands_at_what_lacks_it():
    found = DOCUMENT.problem(("a", "c", "d"), "is missing", at_key=True)
    assert (found.path, found.line, found.column) == ("a.c.d", 1, 1)
    assert DOCUMENT.problem(("c",), "is missing", at_key=True).line == 1


def test_a_problem_without_marks_has_no_place():
    found = Document({"a": 1}).problem(("a",), "is wrong")
    assert (found.file, found.line, found.column) == ("", None, None)


def test_dotted():
    assert dotted(("a", 0, "b")) == "a.0.b"


def test_has():
    assert has({"a": 1}, "a")
    assert has([1, 2], 1)
    assert not has([1, 2], 2)
    assert not has([1, 2], "a")
    assert not has("abc", 1)
