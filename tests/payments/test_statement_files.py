"""What the readers make of statements as banks write them, and of files that are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.payments.providers.bank import camt as camt_files
from ferriage.payments.providers.bank import csvfile
from ferriage.payments.providers.bank.reference import found_in, new_reference
from ferriage.payments.providers.bank.statement import Balance, StatementUnreadable
from statement_files import (
    FEE,
    IBAN,
    RENT,
    Entry,
    camt,
    china_csv,
    china_two_csv,
    collective,
    direkt_csv,
    sparkasse_csv,
)

GIVEN = "1N40A4KJ43"
LONG = f"Payment for the ferry and many more words than one, {GIVEN} thank you"
DAY = date(2026, 3, 2)
VERSIONS = ["02", "03", "04", "06", "08", "10", "13"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_the_same(version: str) -> None:
    paid = Entry(minor=1000, text=LONG, reference="2026030200003", end_to_end="E-7")

    [statement] = camt_files.read(camt([paid, RENT, FEE], version=version))

    assert statement.format == f"camt.053.001.{version}"
    assert (statement.account, statement.currency) == (IBAN, "EUR")
    assert statement.opening is not None
    assert statement.closing is not None
    assert (statement.opening.amount_minor, statement.closing.amount_minor) == (100000, 50610)
    assert statement.adds_up
    came, rent, fee = statement.lines
    assert (came.amount_minor, came.currency, came.booked_on) == (1000, "EUR", DAY)
    assert (came.reference, came.payer_place) == ("2026030200003", "SE")
    assert came.text.endswith("E-7")
    assert GIVEN in found_in(came.text)
    assert (rent.amount_minor, rent.payer_place, rent.is_fee) == (-50000, "", False)
    assert (fee.amount_minor, fee.is_fee) == (-390, True)


def test_nobody_is_kept() -> None:
    [statement] = camt_files.read(camt([Entry(minor=1000, text="Hello")]))

    assert [word for word in ("Payer", "SE45") if word in repr(statement)] == []


def test_entries_that_are_not_booked_are_passed_over() -> None:
    pending = Entry(minor=9900, text="later", status="PDNG")

    [statement] = camt_files.read(camt([Entry(minor=1000), pending], version="08"))

    assert [line.amount_minor for line in statement.lines] == [1000]
    assert statement.passed_over == 1
    assert statement.adds_up


def test_collective_entry_is_its_details_where_they_add_up() -> None:
    [statement] = camt_files.read(collective([(1000, GIVEN), (250, "other")]))

    assert [(line.amount_minor, line.reference) for line in statement.lines] == [
        (1000, "ZV20260302/77/1"),
        (250, "ZV20260302/77/2"),
    ]
    assert [line.payer_place for line in statement.lines] == ["CH", "CH"]
    assert statement.adds_up


def test_collective_entry_whose_details_do_not_add_up_stands_for_itself() -> None:
    whole = collective([(1000, GIVEN), (250, "other")])

    [statement] = camt_files.read(
        whole.replace(b'">2.50</Amt><CdtDbtInd>', b'">2.40</Amt><CdtDbtInd>')
    )

    assert [line.amount_minor for line in statement.lines] == [1250]


def test_money_that_comes_back_is_told_from_a_payment() -> None:
    back = Entry(minor=1000, text="ACCOUNT CLOSED", reversal=True)

    [statement] = camt_files.read(camt([back, Entry(minor=1000)]))

    assert [line.is_return for line in statement.lines] == [True, False]


def test_balances_that_the_lines_do_not_make_are_noticed() -> None:
    [statement] = camt_files.read(camt([Entry(minor=1000)], closing=101001))

    assert not statement.adds_up


BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">&b;</Document>"""
OUTSIDE = BOMB.replace(b'"lol"', b'SYSTEM "file:///etc/passwd"')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (BOMB, "document type or an entity"),
        (OUTSIDE, "document type or an entity"),
        (b"<Document", "not whole XML"),
        (b"<a><b/></a>", "no camt.053"),
        (camt([]).replace(b"camt.053", b"camt.052"), r"interim report \(camt.052\)"),
        (camt([]).replace(b"camt.053", b"camt.054"), r"notification \(camt.054\)"),
        (camt([]).replace(b"camt.053.001.02", b"pain.001.001.03"), "no camt.053"),
        (camt([]).replace(b"Stmt>", b"Rest>"), "no statement"),
        (camt([Entry(minor=1)]).replace(b"0.01", b"0.001"), "no amount"),
        (camt([Entry(minor=1)]).replace(b"2026-03-02<", b"2026-13-02<"), "no day"),
        (camt([Entry(minor=1)]).replace(b"0.01", b"-0.01"), "no amount"),
        (
            camt([Entry(minor=1)])
            .replace(b"<CdtDbtInd>", b"<X>")
            .replace(b"</CdtDbtInd>", b"</X>"),
            "direction",
        ),
        (camt([Entry(minor=1)]).replace(b'"EUR"', b'"USD"', 1), "several"),
        (b"<" + b" " * (10 * 1024 * 1024), "10 MiB"),
    ],
)
def test_file_that_is_no_statement_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(StatementUnreadable, match=says):
        camt_files.read(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_without_a_fault(data: bytes) -> None:
    with pytest.raises(StatementUnreadable):
        camt_files.read(data)


@given(st.data())
def test_any_harm_to_a_statement_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(camt([Entry(minor=1000, text=GIVEN), FEE], version="08"))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place : place + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=8))

    try:
        statements = camt_files.read(bytes(whole))
    except StatementUnreadable:
        return
    assert statements


# --- one line, one key ------------------------------------------------------------------------


def test_equal_lines_of_one_day_are_two_and_the_same_two_in_an_overlapping_statement() -> None:
    same = Entry(minor=1000, text="again")

    [first] = camt_files.read(camt([same, same]))
    [second] = camt_files.read(camt([RENT, same, same, FEE], version="08", number="2"))

    keys = [line.key for line in first.lines]
    assert len(set(keys)) == 2
    assert keys == [line.key for line in second.lines[1:3]]


def test_wrapping_of_the_text_changes_no_key() -> None:
    [first] = camt_files.read(camt([Entry(minor=1000, text=LONG)]))
    [second] = camt_files.read(camt([Entry(minor=1000, text=LONG.replace(" ", "  "))]))

    assert [line.key for line in first.lines] == [line.key for line in second.lines]


# --- CSV --------------------------------------------------------------------------------------

PAID = Entry(minor=123450, text=f"Grüße {GIVEN}", reference="20260302000123")
SPENT = Entry(minor=-990, text="Porto für Briefe", reference="20260302000124")
FLAVOURS = {
    "sparkasse": (sparkasse_csv, "cp1252", ";", "%d.%m.%y", ",", "EUR"),
    "direkt": (direkt_csv, "utf-8-sig", ";", "%d.%m.%Y", ",", "EUR"),
    "china": (china_csv, "gb18030", ",", "%Y%m%d", ".", "CNY"),
    "china two": (china_two_csv, "gb18030", ",", "%Y-%m-%d", ".", "CNY"),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_layout_of_a_banks_csv_is_found(flavour: str) -> None:
    make, encoding, delimiter, date_format, decimal, currency = FLAVOURS[flavour]
    paid = PAID if currency == "EUR" else Entry(minor=123450, text=f"渡轮 {GIVEN} 谢谢")
    spent = SPENT if currency == "EUR" else Entry(minor=-990, text="手续费和邮费", reference="9")
    data = make([paid, spent])

    layout = csvfile.guess(data, currency=currency)
    statement = csvfile.read(data, layout, account=IBAN, currency=currency)

    found = (layout.encoding, layout.delimiter, layout.date_format, layout.decimal)
    assert found == (encoding, delimiter, date_format, decimal)
    assert [line.amount_minor for line in statement.lines] == [123450, -990]
    assert [line.booked_on for line in statement.lines] == [DAY, DAY]
    assert GIVEN in found_in(statement.lines[0].text)
    assert spent.text in statement.lines[1].text
    assert csvfile.Layout.from_json(layout.as_json()) == layout


@pytest.mark.parametrize(
    "heading", ["Text", "Details", "Purpose", "Verwendungszweck", "Remittance Information", "附言"]
)
def test_words_of_the_payer_are_read_beside_a_reference(heading: str) -> None:
    data = (
        f"Date;{heading};Amount;Balance;Reference\n2026-03-02;ferry {GIVEN};10.00;110.00;B-1\n"
    ).encode()

    [line] = csvfile.read(
        data, csvfile.guess(data, currency="EUR"), account="", currency="EUR"
    ).lines

    assert line.text == f"ferry {GIVEN} B-1"


def test_column_with_words_that_was_not_read_is_named() -> None:
    data = b"Date;Wording;Amount;Reference;Kind;Valid\n2026-03-02;ferry fare;10.00;7;;2026-03-02\n"

    assert csvfile.unread(data, csvfile.guess(data, currency="EUR")) == [(1, "Wording")]


BALANCED = ["2026-03-01;a;10.00;110.00", "2026-03-02;b;-30.00;80.00", "2026-03-02;c;5.00;85.00"]


@pytest.mark.parametrize("rows", [BALANCED, BALANCED[::-1]], ids=["oldest first", "newest first"])
def test_column_of_balances_says_what_the_account_held(rows: list[str]) -> None:
    data = "\n".join(["Date;Text;Amount;Balance (EUR)", *rows, ""]).encode()

    statement = csvfile.read(data, csvfile.guess(data, currency="EUR"), account="", currency="EUR")

    assert statement.opening == Balance(on=date(2026, 3, 1), amount_minor=10000)
    assert statement.closing == Balance(on=date(2026, 3, 2), amount_minor=8500)
    assert statement.adds_up


@pytest.mark.parametrize(
    "rows",
    [
        [BALANCED[0], BALANCED[2]],
        ["2026-03-01;a;10.00;", "2026-03-01;a;10.00;110.00"],
        # Read from either end it is whole, and says another thing.
        ["2026-03-01;a;10.00;110.00", "2026-03-01;a;-10.00;100.00"],
    ],
    ids=["a row is missing", "a cell is empty", "either way"],
)
def test_balances_that_do_not_follow_each_other_are_not_believed(rows: list[str]) -> None:
    data = "\n".join(["Date;Text;Amount;Balance", *rows, ""]).encode()

    statement = csvfile.read(data, csvfile.guess(data, currency="EUR"), account="", currency="EUR")

    assert (statement.opening, statement.closing) == (None, None)


@pytest.mark.parametrize(
    ("rows", "doubted"),
    [
        (BALANCED, False),
        (BALANCED[::-1], False),
        ([BALANCED[0], BALANCED[2]], True),
        (["2026-03-01;a;10.00;", "2026-03-01;a;10.00;110.00"], False),
        (["2026-03-01;a;10.00;110.00", "2026-03-01;a;-10.00;100.00"], False),
        ([BALANCED[1]], False),
        # A line that went and was read as one that came.
        (["2026-03-01;a;10.00;110.00", "2026-03-02;b;30.00;80.00"], True),
    ],
    ids=["oldest first", "newest first", "missing", "no balance", "either way", "one", "wrong"],
)
def test_lines_that_no_order_of_balances_fits_are_doubtful(
    rows: list[str], *, doubted: bool
) -> None:
    data = "\n".join(["Date;Text;Amount;Balance", *rows, ""]).encode()

    statement = csvfile.read(data, csvfile.guess(data, currency="EUR"), account="", currency="EUR")

    assert statement.is_doubtful is doubted


@pytest.mark.parametrize(
    ("cells", "minor"),
    [
        ("10.00,", 1000),
        ("-10.00,", -1000),
        (",10.00", -1000),
        (",-10.00", -1000),
        ("0.00,10.00", -1000),
        ("10.00,0.00", 1000),
    ],
)
def test_column_of_what_came_keeps_its_sign(cells: str, minor: int) -> None:
    """What the bank took back stands there with a minus; what went, with one or without."""
    data = f"交易日期,收入金额,支出金额,摘要,流水号\n2026-03-01,{cells},冲正,A1\n".encode()

    [line] = csvfile.read(
        data, csvfile.guess(data, currency="EUR"), account="", currency="CNY"
    ).lines

    assert line.amount_minor == minor


def test_kept_layout_reads_the_next_file() -> None:
    layout = csvfile.guess(china_csv([PAID]), currency="CNY")

    statement = csvfile.read(
        china_csv([Entry(minor=1, text="x", reference="7", day="2026-04-01")]),
        layout,
        account="",
        currency="CNY",
    )

    [line] = statement.lines
    assert (line.amount_minor, line.reference, line.booked_on) == (1, "7", date(2026, 4, 1))


@pytest.mark.parametrize(
    ("cell", "decimal", "minor"),
    [
        ("1.234,56", ",", 123456),
        ("1,234.56", ".", 123456),
        ("1'234.50", ".", 123450),
        ("1,23,456.50", ".", 12345650),
        ("−12,00 €", ",", -1200),
        ("12,00-", ",", -1200),
        ("12,00 S", ",", -1200),
        ("12,00 H", ",", 1200),
        ("+12", ".", 1200),
        ("￥12.5", ".", 1250),
        ("CNY 12.50", ".", 1250),
        ("12.5000", ".", 1250),
    ],
)
def test_amount_is_read_as_banks_write_it(cell: str, decimal: str, minor: int) -> None:
    data = f"date;amount;text\n2026-03-02;{cell};x\n".encode()
    layout = csvfile.Layout(
        encoding="utf-8-sig",
        delimiter=";",
        heading=0,
        date_format="%Y-%m-%d",
        decimal=decimal,
        day=0,
        amount=1,
        text=(2,),
    )

    [line] = csvfile.read(data, layout, account="", currency="CNY").lines

    assert line.amount_minor == minor


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("2026-03-02;ten;x", "^Row 2: “ten” is no amount of CNY."),
        ("02.03.2026;10;x", "^Row 2: “02.03.2026” is no day that is written like 2026-03-31."),
        ("1,2;10;x", "^Row 2: “1,2” is no day that is written like 2026-03-31."),
        ("2026-03-02;1.2.3;x", "^Row 2: “1.2.3” is no amount of CNY."),
        ("2026-03-02;10.555;x", "^Row 2: “10.555” is no amount of CNY."),
        ("2026-03-02;10,55;x", "^Row 2: “10,55” is no amount of CNY."),
        (";;", "no line"),
    ],
)
def test_row_that_is_not_what_the_layout_says_is_named(row: str, says: str) -> None:
    layout = csvfile.guess(
        b"date;amount;details\n2026-03-02;1.00;x\n2026-03-02;1.50;y\n", currency="CNY"
    )

    with pytest.raises(StatementUnreadable, match=says):
        csvfile.read(f"date;amount;details\n{row}\n".encode(), layout, account="", currency="CNY")


def table(*cells: str) -> bytes:
    """Return a CSV of these amounts, one a line."""
    lines = "".join(f"2026-03-02;{cell};x\n" for cell in cells)
    return f"date;amount;details\n{lines}".encode()


@pytest.mark.parametrize("currency", ["JPY", "KRW"])
@pytest.mark.parametrize(
    ("cell", "minor"),
    [
        ("1000", 1000),
        ("-2,500", -2500),
        ("2.500", 2500),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("1,000.00", 1000),
        ("1.000,00", 1000),
        ("1000.0", 1000),
        ("￥12,500", 12500),
        ("100", 100),
    ],
)
def test_every_mark_groups_where_there_are_no_decimals(
    currency: str, cell: str, minor: int
) -> None:
    data = table(cell)

    layout = csvfile.guess(data, currency=currency)

    [line] = csvfile.read(data, layout, account="", currency=currency).lines
    assert line.amount_minor == minor


@pytest.mark.parametrize("cell", ["10.5", "1,50", "0.500", "1,000.000", "1000.000", "1,00,000"])
def test_decimals_of_a_currency_without_them_are_refused(cell: str) -> None:
    layout = csvfile.guess(table("1000"), currency="JPY")

    with pytest.raises(StatementUnreadable, match="is no amount of JPY"):
        csvfile.read(table(cell), layout, account="", currency="JPY")


@pytest.mark.parametrize(
    ("cells", "decimal", "minor"),
    [
        (["12.500", "1,234.500"], ".", [12500, 1234500]),
        (["12,500", "1.234,500"], ",", [12500, 1234500]),
        (["12.500", "0.250"], ".", [12500, 250]),
        (["12.500", "1234.500"], ".", [12500, 1234500]),
        (["12,500", "1,5"], ",", [12500, 1500]),
        (["25,000", "1,250,000"], ".", [25000000, 1250000000]),
        (["-12.500", "12.5000"], ".", [-12500, 12500]),
    ],
)
def test_three_decimals_are_told_by_the_cells_that_leave_no_doubt(
    cells: list[str], decimal: str, minor: list[int]
) -> None:
    data = table(*cells)

    layout = csvfile.guess(data, currency="KWD")

    statement = csvfile.read(data, layout, account="", currency="KWD")
    assert layout.decimal == decimal
    assert [line.amount_minor for line in statement.lines] == minor


@pytest.mark.parametrize(
    "cells", [["12.500", "3.000"], ["12,500"], ["12", "7"], ["1234.500", "1234,500"]]
)
def test_three_decimals_that_may_be_a_group_are_read_as_somebody_says(cells: list[str]) -> None:
    data = table(*cells)

    layout = csvfile.guess(data, currency="KWD")

    assert layout.decimal == ""
    with pytest.raises(StatementUnreadable, match="may be read in two ways"):
        csvfile.read(data, layout, account="", currency="KWD")


def test_mark_that_somebody_said_is_believed_of_three_decimals() -> None:
    data = table("12.500", "3.000")
    open_one = csvfile.guess(data, currency="KWD")

    said = [
        csvfile.read(data, replace(open_one, decimal=mark), account="", currency="KWD")
        for mark in (".", ",")
    ]

    assert [one.sum_minor for one in said] == [15500, 15500000]


def test_rows_that_are_not_booked_yet_are_passed_over() -> None:
    data = sparkasse_csv([PAID, SPENT]).replace(b"Umsatz gebucht", b"Umsatz vorgemerkt", 1)

    statement = csvfile.read(
        data, csvfile.guess(data, currency="EUR"), account=IBAN, currency="EUR"
    )

    assert [line.amount_minor for line in statement.lines] == [-990]
    assert statement.passed_over == 1


def test_deeply_nested_file_is_refused_without_a_fault() -> None:
    depth = 200_000

    with pytest.raises(StatementUnreadable):
        camt_files.read(b"<a>" * depth + b"</a>" * depth)


def test_line_in_another_currency_is_refused() -> None:
    layout = csvfile.guess(sparkasse_csv([PAID]), currency="EUR")

    with pytest.raises(StatementUnreadable, match="Row 2: it is in EUR, and the account in CNY"):
        csvfile.read(sparkasse_csv([PAID]), layout, account="", currency="CNY")


@pytest.mark.parametrize("data", [b"", b"hello", b"a,b,c\n1,2,3\n", "你好".encode("gb18030")])
def test_csv_without_known_headings_asks_for_them(data: bytes) -> None:
    with pytest.raises(StatementUnreadable, match="No row of the file"):
        csvfile.guess(data, currency="EUR")


@given(st.binary(max_size=300))
def test_any_bytes_are_guessed_or_refused(data: bytes) -> None:
    try:
        layout = csvfile.guess(data, currency="EUR")
        csvfile.read(data, layout, account="", currency="CNY")
    except StatementUnreadable:
        return


# --- the reference in the text ----------------------------------------------------------------


@given(
    before=st.text(max_size=40),
    after=st.text(max_size=40),
    breaks=st.lists(st.integers(1, 9), max_size=3),
    gap=st.sampled_from([" ", "\n", "  ", "-", " \r\n", "\t"]),
    lower=st.integers(0, 1),
)
def test_reference_survives_any_wrapping(
    before: str, after: str, breaks: list[int], gap: str, lower: int
) -> None:
    reference = new_reference()
    wrapped = "".join(
        gap + char if place in breaks else char for place, char in enumerate(reference)
    )

    said = f"{before} {wrapped.lower() if lower else wrapped} {after}"

    assert reference in found_in(said)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=140))
def test_no_random_text_holds_a_reference_that_was_given(text: str) -> None:
    given_out = {new_reference() for _number in range(50)}

    assert given_out.isdisjoint(found_in(text))
