"""Dumps of tables: every quoting that mysqldump and phpMyAdmin write, and files that are broken."""

# ruff: noqa: S608 -- dumps are SQL that nobody runs
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferriage.arrivals.sqldump import DumpWrong, rows

if TYPE_CHECKING:
    from pathlib import Path

TABLE = "CREATE TABLE `people` (`id` int(11) NOT NULL, `name` varchar(64), PRIMARY KEY (`id`));\n"


def read(path: Path, text: str | bytes, *tables: str) -> list[dict[str, str | None]]:
    file = path / "dump.sql"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return [dict(row) for _table, row in rows(file, tables or ("people",))]


def names(path: Path, values: str) -> list[str | None]:
    return [row["name"] for row in read(path, f"{TABLE}INSERT INTO `people` VALUES {values};\n")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("'plain'", "plain"),
        ("''", ""),
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        ("''''", "'"),
        (r"'\\'", "\\"),
        (r"'\\\''", "\\'"),
        (r"'a\\'", "a\\"),
        (r"'\0\b\n\r\t\Z'", "\0\b\n\r\t\x1a"),
        (r"'50\% \_ \x'", r"50\% \_ x"),
        ("'say \"\" twice'", 'say "" twice'),
        ('"it\'\'s ""so"""', "it''s \"so\""),
        ("'),(2,\\'x\\');'", "),(2,'x');"),
        ("'-- no comment /* nor this */ # nor this'", "-- no comment /* nor this */ # nor this"),
        ("'小张 \U0001f6a2'", "小张 \U0001f6a2"),
        ("'two\nlines'", "two\nlines"),
        ("_utf8mb4'with'", "with"),
        ("_binary 'with'", "with"),
        ("0x7AFFFE", "z\ufffd\ufffd"),
        ("X'6869'", "hi"),
        ("b'101'", "5"),
        ("NULL", None),
        ("null", None),
        ("-12", "-12"),
        ("1.5e3", "1.5e3"),
        (".5", ".5"),
        ("true", "1"),
        ("/* before */ 'x' -- after\n", "x"),
        ("'x' # after\n", "x"),
    ],
)
def test_value_is_read_as_the_server_would(tmp_path: Path, written: str, meant: str) -> None:
    assert names(tmp_path, f"(1,{written}),(2,'next')") == [meant, "next"]


def test_text_that_is_not_utf8_comes_with_replacement_characters(tmp_path: Path) -> None:
    dump = TABLE.encode() + b"INSERT INTO `people` VALUES (1,'\xd5\xc5');\n"

    assert [row["name"] for row in read(tmp_path, dump)] == ["\ufffd\ufffd"]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO `people` VALUES (1,'a');",
        "INSERT INTO `shop`.`people` VALUES (1,'a');",
        "INSERT INTO people VALUES (1,'a');",
        'INSERT INTO "people" ("id","name") VALUES (1,\'a\');',
        "insert ignore into `people` (`name`, `id`) values ('a', 1);",
        "REPLACE INTO `people` VALUES (1,'a');",
        "INSERT INTO `people` VALUES (1,'a') ON DUPLICATE KEY UPDATE name = ';';",
    ],
)
def test_statement_is_read_in_each_of_its_forms(tmp_path: Path, statement: str) -> None:
    assert read(tmp_path, TABLE + statement) == [{"id": "1", "name": "a"}]


def test_columns_are_told_from_keys_checks_and_comments(tmp_path: Path) -> None:
    table = (
        "CREATE TABLE IF NOT EXISTS `people` (\n"
        "  `id` int(11) NOT NULL COMMENT 'a ), (b) `c`',\n"
        "  `kind` enum('a,b','c)') DEFAULT 'a,b', -- , `nothing`\n"
        "  `odd``name` decimal(10,2) CHECK (`id` > 0),\n"
        "  name varchar(64),\n"
        "  PRIMARY KEY (`id`), UNIQUE KEY `u` (`kind`,`name`),\n"
        "  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `x` (`id`)\n"
        ") ENGINE=InnoDB /*!50100 PARTITION BY HASH (id) */;\n"
    )

    found = read(tmp_path, f"{table}INSERT INTO `people` VALUES (1,'c)',1.5,'n');")

    assert found == [{"id": "1", "kind": "c)", "odd`name": "1.5", "name": "n"}]


def test_other_statements_tables_and_triggers_are_passed_over(tmp_path: Path) -> None:
    dump = (
        "/*M!999999\\- enable the sandbox mode */\n"
        "-- it's a comment; with a quote\n"
        "/*!40101 SET NAMES utf8mb4 */;\n"
        "SET @a = 'it''s; so', @b = 3 - 1, @c = 4/2;\n"
        "CREATE TABLE `other` (`id` int);\n"
        "INSERT INTO `other` VALUES (1),(now());\n"
        f"{TABLE}"
        "LOCK TABLES `people` WRITE;\n"
        "DELIMITER ;;\n"
        "/*!50003 CREATE TRIGGER `t` BEFORE INSERT ON `people` FOR EACH ROW BEGIN\n"
        "  INSERT INTO `people` VALUES (7,'never');\n"
        "END */;;\n"
        "DELIMITER ;\n"
        "INSERT INTO `people` VALUES (1,'a');\n"
        "INSERT INTO `people` VALUES (2,'b');\n"
        "UNLOCK TABLES;\n"
        "-- Dump completed"
    )

    assert [row["name"] for row in read(tmp_path, dump)] == ["a", "b"]


@pytest.mark.parametrize(
    ("dump", "said"),
    [
        ("INSERT INTO `people` VALUES (1,'a'", "ends in the middle of a statement"),
        ("INSERT INTO `people` VALUES (1,'a", "ends in the middle of a statement"),
        ("INSERT INTO `people` VALUES (1,'a')", "ends in the middle of a statement"),
        ("INSERT INTO `people` VALUES (1);", "has 1 values, not 2"),
        ("INSERT INTO `people` VALUES (1,now());", "neither text nor a number"),
        ("INSERT INTO `people` VALUES (1,'a' 'b');", "neither text nor a number"),
        ("INSERT INTO `people` SELECT 1;", "in a form that no dump has"),
        (TABLE, "holds the table people twice"),
    ],
)
def test_broken_dump_is_refused_with_its_line(tmp_path: Path, dump: str, said: str) -> None:
    with pytest.raises(DumpWrong) as refused:
        read(tmp_path, f"{TABLE}\n{dump}")

    assert said in str(refused.value)
    assert "(line 3 of the dump)" in str(refused.value)


def test_rows_before_their_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DumpWrong, match="come before its CREATE TABLE"):
        read(tmp_path, "INSERT INTO `people` VALUES (1,'a');")


def test_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "") == []


def quoted(text: str, doubled: bool) -> str:  # noqa: FBT001 -- drawn by hypothesis
    """Quote as the server's own escaping does, with either way of writing the quote itself."""
    for plain, escaped in (
        ("\\", "\\\\"),
        ("\0", "\\0"),
        ("\n", "\\n"),
        ("\r", "\\r"),
        ("\x1a", "\\Z"),
        ('"', '\\"'),
        ("'", "''" if doubled else "\\'"),
    ):
        text = text.replace(plain, escaped)
    return f"'{text}'"


NASTY = st.text(st.sampled_from("'\"\\`;,()-#/*\n\r\0\x1a a小")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


@given(st.lists(st.tuples(NASTY | st.none(), st.booleans()), min_size=1))
def test_whatever_was_quoted_comes_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str | None, bool]]
) -> None:
    written = ",".join(
        f"({number},{'NULL' if text is None else quoted(text, doubled)})"
        for number, (text, doubled) in enumerate(values)
    )

    found = names(tmp_path_factory.mktemp("dump"), written)

    assert found == [text for text, _doubled in values]


@given(st.text(st.sampled_from("'\"\\`;,()-#/*\n\0 INSERTinto people VALUES1"), max_size=200))
def test_no_rubbish_does_more_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, rubbish: str
) -> None:
    try:
        found = read(tmp_path_factory.mktemp("dump"), TABLE + rubbish)
    except DumpWrong:
        return

    assert all(set(row) == {"id", "name"} for row in found)
