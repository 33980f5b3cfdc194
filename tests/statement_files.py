"""Statements as banks write them, with made-up people: what the import is tested on.

sparkasse   camt.053.001.02, Germany: text wrapped at 35, one detail an entry
kantonal    camt.053.001.04, Switzerland: a collective entry with two details and amounts
genossen    camt.053.001.08, Germany since 2025: Sts/Cd, BICFI, Pty, DtTm, pending entries
sparkasse_csv, direkt_csv   cp1252 and UTF-8 with a preamble, decimal comma
china_csv, china_two_csv    GB18030, one signed column or one for each direction
"""

from __future__ import annotations

from dataclasses import dataclass

IBAN = "DE02120300000000202051"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry to be: signed minor units with two decimals."""

    minor: int
    text: str = ""
    reference: str = ""
    day: str = "2026-03-02"
    end_to_end: str = "NOTPROVIDED"
    status: str = "BOOK"
    code: str = "ESCT"
    family: str = "RCDT"
    reversal: bool = False
    payer_iban: str = "SE4550000000058398257466"


RENT = Entry(minor=-50000, text="Rent March", reference="2026030200001", day="2026-03-02")
FEE = Entry(minor=-390, text="Kontofuehrung", reference="2026030200002", code="CHRG", family="MDOP")


def camt(
    entries: list[Entry],
    *,
    version: str = "02",
    opening: int = 100000,
    closing: int | None = None,
    iban: str = IBAN,
    number: str = "2026-03-02/1",
    currency: str = "EUR",
) -> bytes:
    """Return a statement of the version, with the elements where that version has them."""
    booked = sum(entry.minor for entry in entries if entry.status == "BOOK")
    closes = opening + booked if closing is None else closing
    body = "".join(_entry(entry, version, currency) for entry in entries)
    document = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <!-- made by a bank -->
 <BkToCstmrStmt>
  <GrpHdr><MsgId>M-1</MsgId><CreDtTm>2026-03-02T20:15:00+01:00</CreDtTm></GrpHdr>
  <Stmt><Id>{number}</Id><ElctrncSeqNb>1</ElctrncSeqNb>
   <CreDtTm>2026-03-02T20:15:00+01:00</CreDtTm>
   <Acct><Id><IBAN>{iban}</IBAN></Id><Ccy>{currency}</Ccy><Ownr><Nm>Our Ferry</Nm></Ownr></Acct>
   {_balance("PRCD", opening, "2026-03-01", currency)}
   {_balance("CLBD", closes, "2026-03-02", currency)}
   {_balance("CLAV", closes + 77, "2026-03-02", currency)}
   {body}
  </Stmt>
 </BkToCstmrStmt>
</Document>"""
    return document.encode()


def _balance(kind: str, minor: int, day: str, currency: str) -> str:
    side = "CRDT" if minor >= 0 else "DBIT"
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>{_money(minor, currency)}"
        f"<CdtDbtInd>{side}</CdtDbtInd><Dt><Dt>{day}</Dt></Dt></Bal>"
    )


def _money(minor: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{abs(minor) // 100}.{abs(minor) % 100:02}</Amt>'


def _entry(entry: Entry, version: str, currency: str) -> str:
    side = "CRDT" if entry.minor >= 0 else "DBIT"
    late = int(version) >= 8
    status = f"<Cd>{entry.status}</Cd>" if late else entry.status
    party = "<Pty><Nm>Å. Payer</Nm></Pty>" if late else "<Nm>Å. Payer</Nm>"
    day = f"<DtTm>{entry.day}T09:30:00+01:00</DtTm>" if late else f"<Dt>{entry.day}</Dt>"
    wrapped = "".join(
        f"<Ustrd>{entry.text[start : start + 35]}</Ustrd>"
        for start in range(0, len(entry.text), 35)
    )
    known = f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef>" if entry.reference else ""
    reversal = "<RvslInd>true</RvslInd>" if entry.reversal else ""
    return f"""<Ntry>{_money(entry.minor, currency)}<CdtDbtInd>{side}</CdtDbtInd>{reversal}
    <Sts>{status}</Sts><BookgDt>{day}</BookgDt><ValDt>{day}</ValDt>{known}
    <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>{entry.family}</Cd><SubFmlyCd>{entry.code}</SubFmlyCd>
    </Fmly></Domn><Prtry><Cd>NTRF+166</Cd></Prtry></BkTxCd>
    <NtryDtls><TxDtls><Refs><EndToEndId>{entry.end_to_end}</EndToEndId></Refs>
     <Chrgs><Rcrd>{_money(100, currency)}<CdtDbtInd>DBIT</CdtDbtInd></Rcrd></Chrgs>
     <RltdPties><Dbtr>{party}</Dbtr>
      <DbtrAcct><Id><IBAN>{entry.payer_iban}</IBAN></Id></DbtrAcct></RltdPties>
     <RmtInf>{wrapped}</RmtInf></TxDtls></NtryDtls></Ntry>"""


def collective(texts: list[tuple[int, str]], *, reference: str = "ZV20260302/77") -> bytes:
    """Return a Swiss statement whose one entry is made of several payments."""
    total = sum(minor for minor, _text in texts)
    details = "".join(
        f"""<TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>
        <Amt Ccy="CHF">{minor / 100:.2f}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
        <RltdAgts><DbtrAgt><FinInstnId><BICFI>POFICHBEXXX</BICFI></FinInstnId></DbtrAgt></RltdAgts>
        <RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls>"""
        for minor, text in texts
    )
    entry = f"""<Ntry><Amt Ccy="CHF">{total / 100:.2f}</Amt><CdtDbtInd>CRDT</CdtDbtInd>
      <Sts>BOOK</Sts><BookgDt><Dt>2026-03-02</Dt></BookgDt>
      <AcctSvcrRef>{reference}</AcctSvcrRef>
      <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>VCOM</SubFmlyCd></Fmly></Domn></BkTxCd>
      <NtryDtls><Btch><NbOfTxs>{len(texts)}</NbOfTxs></Btch>{details}</NtryDtls></Ntry>"""
    bare = camt([], version="04", opening=0, closing=total, currency="CHF").decode()
    return bare.replace("  </Stmt>", f"{entry}\n  </Stmt>").encode()


def sparkasse_csv(entries: list[Entry]) -> bytes:
    """Return CSV-CAMT as German savings banks hand it out: cp1252, quoted, semicolons."""
    head = (
        '"Auftragskonto";"Buchungstag";"Valutadatum";"Buchungstext";"Verwendungszweck";'
        '"Beguenstigter/Zahlungspflichtiger";"Betrag";"Waehrung";"Info"'
    )
    lines = [
        f'"{IBAN}";"{_german(entry.day, short=True)}";"";"GUTSCHR. ÜBERWEISUNG";"{entry.text}";'
        f'"Jörg Größe";"{_comma(entry.minor)}";"EUR";"Umsatz gebucht"'
        for entry in entries
    ]
    return "\r\n".join([head, *lines, ""]).encode("cp1252")


def direkt_csv(entries: list[Entry]) -> bytes:
    """Return a direct bank's CSV: a preamble, UTF-8, thousands with points, a euro sign."""
    preamble = f'"Girokonto";"{IBAN}"\n"Kontostand vom 03.03.2026:";"1.234,56 €"\n""\n'
    head = '"Buchungsdatum";"Status";"Zahlungspflichtige*r";"Verwendungszweck";"Betrag (€)"\n'
    lines = "".join(
        f'"{_german(entry.day)}";"Gebucht";"Å. Öst";"{entry.text}";"{_thousands(entry.minor)} €"\n'
        for entry in entries
    )
    return (preamble + head + lines).encode()


def china_csv(entries: list[Entry]) -> bytes:
    """Return a Chinese bank's CSV: GB18030, tabs before numbers, one signed column."""
    head = "账号,6222020200112233\r\n交易日期,交易金额,余额,币种,对方户名,附言,交易流水号\r\n"
    lines = "".join(
        f"{entry.day.replace('-', '')}\t,{entry.minor / 100:,.2f}".replace(",", "@", 1)
        .replace(",", "")
        .replace("@", ",")
        + f',8888.00,人民币,张三,"{entry.text}",\t{entry.reference}\r\n'
        for entry in entries
    )
    return (head + lines).encode("gb18030")


def china_two_csv(entries: list[Entry]) -> bytes:
    """Return the other kind: income and expense in columns of their own, days with a time."""
    head = "记账日期,摘要,收入金额,支出金额,账户余额,备注\r\n"
    lines = "".join(
        f"{entry.day} 12:00:05,转账,{_side(entry.minor)},{_side(-entry.minor)},1.00,"
        f"{entry.text}\r\n"
        for entry in entries
    )
    return (head + lines + ",,,,,\r\n本页小计,,,,,\r\n").encode("gb18030")


def _side(minor: int) -> str:
    return f'"{minor / 100:,.2f}"' if minor > 0 else ""


def _german(day: str, *, short: bool = False) -> str:
    year, month, number = day.split("-")
    return f"{number}.{month}.{year[2:] if short else year}"


def _comma(minor: int) -> str:
    return f"{minor / 100:.2f}".replace(".", ",")


def _thousands(minor: int) -> str:
    return f"{minor / 100:,.2f}".replace(",", "@").replace(".", ",").replace("@", ".")
