from pytest_batchguard.report.layout import columns

HEAD = ("case", "verdict")


def test_columns_are_aligned_two_apart():
    assert columns(HEAD, [("a", "passed"), ("a longer one", "no")], 80) == [
        "case          verdict",
        "a             passed",
        "a longer one  no",
    ]


def test_lines_end_without_spaces():
    assert all(line == line.rstrip() for line in columns(HEAD, [("a", ""), ("b" * 30, "passed")], 80))


def test_row_that_just_fits_stays_on_its_line():
    assert columns(HEAD, [("a" * 10, "b" * 10)], 22) == ["case        verdict", "aaaaaaaaaa  bbbbbbbbbb"]


def test_rows_that_do_not_fit_put_the_first_cell_on_a_line_of_its_own():
    assert columns(HEAD, [("a" * 10, "b" * 10), ("c", "d")], 21) == [
        "  verdict",
        "aaaaaaaaaa",
        "  bbbbbbbbbb",
        "c",
        "  d",
    ]


def test_table_without_rows_is_its_head():
    assert columns(HEAD, [], 80) == ["case  verdict"]
