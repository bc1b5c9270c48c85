"""Closed positions and fills with the column names and sides of many languages: each is read like
the same table in English, with its profits or amounts and without them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.sources.draft import draft
from app.sources.fills import STILL_OPEN
from tests.sources.test_exports import answered, read

HEADERS = {
    # symbol, side, quantity, times and prices of the entry and the exit, fee, swap, profit;
    # long and short
    "sv": (
        "Instrument;Riktning;Antal;Öppnad;Öppningskurs;"
        "Stängd;Stängningskurs;Courtage;Ränta;Resultat",
        "Lång;Kort",
    ),
    "da": (
        "Instrument;Retning;Antal;Åbnet;Åbningskurs;Lukket;Lukkekurs;Kurtage;Rente;Gevinst/tab",
        "Lang;Kort",
    ),
    "nb": (
        "Instrument;Retning;Antall;Åpnet;Åpningskurs;Lukket;Sluttkurs;Kurtasje;Rente;Resultat",
        "Lang;Kort",
    ),
    "fi": (
        "Instrumentti;Suunta;Määrä;Avausaika;Avaushinta;"
        "Sulkemisaika;Sulkemishinta;Palkkio;Korko;Tulos",
        "Pitkä;Lyhyt",
    ),
    "nl": (
        "Instrument;Richting;Aantal;Geopend op;Openingskoers;"
        "Gesloten op;Slotkoers;Commissie;Swap;Resultaat",
        "Lang;Kort",
    ),
    "fr": (
        "Instrument;Sens;Quantité;Date d'ouverture;Cours d'ouverture;"
        "Date de clôture;Cours de clôture;Commission;Swap;Résultat",
        "Achat;Vente",
    ),
    "es": (
        "Instrumento;Dirección;Volumen;Fecha de apertura;Precio de apertura;"
        "Fecha de cierre;Precio de cierre;Comisión;Swap;Beneficio",
        "Compra;Venta",
    ),
    "it": (
        "Strumento;Direzione;Quantità;Data apertura;Prezzo apertura;"
        "Data chiusura;Prezzo chiusura;Commissioni;Swap;Profitto",
        "Lungo;Corto",
    ),
    "pt": (
        "Instrumento;Direção;Quantidade;Data de abertura;Preço de abertura;"
        "Data de fecho;Preço de fecho;Comissão;Swap;Lucro",
        "Compra;Venda",
    ),
    "ptbr": (
        "Ativo;Lado;Qtd;Abertura;Preço Entrada;Fechamento;Preço Saída;Corretagem;Swap;Resultado",
        "Comprado;Vendido",
    ),
    "pl": (
        "Instrument;Kierunek;Wolumen;Czas otwarcia;Cena otwarcia;Czas zamknięcia;"
        "Cena zamknięcia;Prowizja;Swap;Zysk/strata",
        "Długa;Krótka",
    ),
    "cs": (
        "Instrument;Směr;Objem;Čas otevření;Otevírací cena;Čas uzavření;"
        "Uzavírací cena;Provize;Swap;Zisk/ztráta",
        "Nákup;Prodej",
    ),
    "sk": (
        "Inštrument;Smer;Objem;Čas otvorenia;Otváracia cena;Čas zatvorenia;"
        "Zatváracia cena;Provízia;Swap;Zisk/strata",
        "Nákup;Predaj",
    ),
    "hu": (
        "Instrumentum;Irány;Mennyiség;Nyitás ideje;Nyitóár;"
        "Zárás ideje;Záróár;Jutalék;Swap;Eredmény",
        "Vétel;Eladás",
    ),
    "ro": (
        "Instrument;Direcție;Volum;Ora deschiderii;Preț deschidere;"
        "Ora închiderii;Preț închidere;Comision;Swap;Profit",
        "Cumpărare;Vânzare",
    ),
    "bg": (
        "Инструмент;Посока;Количество;Време на отваряне;Цена на отваряне;"
        "Време на затваряне;Цена на затваряне;Комисиона;Суап;Печалба",
        "Покупка;Продажба",
    ),
    "hr": (
        "Instrument;Smjer;Količina;Vrijeme otvaranja;Cijena otvaranja;"
        "Vrijeme zatvaranja;Cijena zatvaranja;Provizija;Swap;Dobit",
        "Kupnja;Prodaja",
    ),
    "sl": (
        "Instrument;Smer;Količina;Čas odprtja;Cena odprtja;"
        "Čas zaprtja;Cena zaprtja;Provizija;Swap;Dobiček",
        "Nakup;Prodaja",
    ),
    "el": (
        "Προϊόν;Κατεύθυνση;Ποσότητα;Ώρα ανοίγματος;Τιμή ανοίγματος;"
        "Ώρα κλεισίματος;Τιμή κλεισίματος;Προμήθεια;Swap;Κέρδος",
        "Αγορά;Πώληση",
    ),
    "tr": (
        "Sembol;Yön;Miktar;Açılış Zamanı;Açılış Fiyatı;Kapanış Zamanı;"
        "Kapanış Fiyatı;Komisyon;Swap;Kâr/Zarar",
        "Alış;Satış",
    ),
    "ru": (
        "Инструмент;Направление;Объем;Время открытия;Цена открытия;"
        "Время закрытия;Цена закрытия;Комиссия;Своп;Прибыль",
        "Покупка;Продажа",
    ),
    "uk": (
        "Інструмент;Напрямок;Обсяг;Час відкриття;Ціна відкриття;"
        "Час закриття;Ціна закриття;Комісія;Своп;Прибуток",
        "Купівля;Продаж",
    ),
    "ar": (
        "الرمز;الاتجاه;الحجم;وقت الفتح;سعر الفتح;وقت الإغلاق;سعر الإغلاق;العمولة;السواب;الربح",
        "شراء;بيع",
    ),
    "he": (
        "נייר;כיוון;כמות;זמן פתיחה;שער פתיחה;זמן סגירה;שער סגירה;עמלה;סוואפ;רווח",
        "קניה;מכירה",
    ),
    "fa": (
        "نماد;جهت;حجم;زمان باز;قیمت باز;زمان بسته;قیمت بسته;کمیسیون;سواپ;سود",
        "خرید;فروش",
    ),
    "th": (
        "สัญลักษณ์;ประเภท;ปริมาณ;เวลาเปิด;ราคาเปิด;เวลาปิด;ราคาปิด;ค่าคอมมิชชั่น;สวอป;กำไร",
        "ซื้อ;ขาย",
    ),
    "vi": (
        "Mã;Loại;Khối lượng;Thời gian mở;Giá mở;Thời gian đóng;Giá đóng;Hoa hồng;Qua đêm;Lợi nhuận",
        "Mua;Bán",
    ),
    "id": (
        "Simbol;Jenis;Volume;Waktu buka;Harga buka;Waktu tutup;Harga tutup;Komisi;Swap;Laba",
        "Beli;Jual",
    ),
    "ms": (
        "Simbol;Jenis;Volum;Masa buka;Harga buka;Masa tutup;Harga tutup;Komisen;Swap;Untung",
        "Beli;Jual",
    ),
    "ko": (
        "종목;구분;수량;진입시간;진입가격;청산시간;청산가격;수수료;스왑;손익",
        "매수;매도",
    ),
    "ja": (
        "銘柄;売買;数量;新規日時;新規価格;決済日時;決済価格;手数料;スワップ;損益",
        "買;売",
    ),
    "zhtw": (
        "商品;買賣;手數;開倉時間;開倉價;平倉時間;平倉價;手續費;隔夜利息;損益",
        "買;賣",
    ),
    "zhcn": (
        "品种;方向;手数;开仓时间;开仓价;平仓时间;平仓价;手续费;库存费;盈亏",
        "买;卖",
    ),
    "lt": (
        "Instrumentas;Kryptis;Kiekis;Atidarymo laikas;Atidarymo kaina;"
        "Uždarymo laikas;Uždarymo kaina;Komisinis;Apsikeitimas;Pelnas",
        "Pirkimas;Pardavimas",
    ),
    "lv": (
        "Instruments;Virziens;Daudzums;Atvēršanas laiks;Atvēršanas cena;"
        "Aizvēršanas laiks;Aizvēršanas cena;Komisija;Swap;Peļņa",
        "Pirkšana;Pārdošana",
    ),
    "et": (
        "Instrument;Suund;Kogus;Avamise aeg;Avamishind;Sulgemise aeg;"
        "Sulgemishind;Komisjonitasu;Swap;Kasum",
        "Ost;Müük",
    ),
    "hi": (
        "प्रतीक;दिशा;मात्रा;खुलने का समय;खुलने का मूल्य;बंद होने का समय;बंद होने का मूल्य;कमीशन;स्वैप;लाभ",
        "खरीद;बिक्री",
    ),
}
ROWS = (
    ("AAAX", 0, "10;2024-03-04 10:15:22;100.00;2024-03-05 11:20:00;104.00;-2.00;-0.50", "40.00"),
    ("BBBX", 1, "5;2024-03-14 10:15:22;200.00;2024-03-15 11:20:00;190.00;-1.00;-0.25", "50.00"),
    ("AAAX", 0, "20;2024-03-18 10:15:22;110.00;2024-03-19 11:20:00;107.50;-4.00;0.00", "-50.00"),
)
CLOSES = [
    ["AAAX", "long", "2024-03-04T10:15:22Z", "2024-03-05T11:20:00Z", 10.0, 37.5],
    ["BBBX", "short", "2024-03-14T10:15:22Z", "2024-03-15T11:20:00Z", 5.0, 48.75],
    ["AAAX", "long", "2024-03-18T10:15:22Z", "2024-03-19T11:20:00Z", 20.0, -54.0],
]
COUNTED_IN_LOTS = ("zhtw", "zhcn")


@pytest.mark.parametrize("profits", [True, False], ids=["profits", "prices"])
@pytest.mark.parametrize("language", HEADERS)
def test_positions_are_read_in_many_languages(language: str, profits: bool, tmp_path: Path) -> None:
    names, words = HEADERS[language]
    sides = words.split(";")
    lines = [
        names if profits else names.rpartition(";")[0],
        *(
            f"{symbol};{sides[side]};{cells}{f';{profit}' if profits else ''}"
            for symbol, side, cells, profit in ROWS
        ),
    ]
    path = tmp_path / "positions.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = draft(str(path), path.name)
    answers = [
        [question, answer]
        for question, answer in (
            ('currency = "?"', 'currency = "EUR"'),
            ('"*" = "?"', '"*" = 1'),
        )
        if question in made.text
    ]
    # Without a profit, lots have to be asked about.
    assert ('"*" = "?"' in made.text) == (language in COUNTED_IN_LOTS and not profits)
    assert len(made.asked) == len(answers)
    found, refused, _ = read(path, answered(made, answers, tmp_path / "m.toml"))
    assert [close[:6] for close in found] == CLOSES
    assert not refused


FILLS = {
    # time, symbol, side, quantity, price, fee, amount; bought and sold
    "sv": (
        "Affärsdag;Värdepapper;Typ av transaktion;Antal;Kurs;Courtage;Belopp",
        "Köp;Sälj",
    ),
    "da": (
        "Handelsdag;Værdipapir;Transaktionstype;Antal;Kurs;Kurtage;Beløb",
        "Køb;Salg",
    ),
    "nb": (
        "Handelsdag;Verdipapir;Transaksjonstype;Antall;Kurs;Kurtasje;Beløp",
        "Kjøp;Salg",
    ),
    "fi": (
        "Kauppapäivä;Arvopaperi;Tapahtumatyyppi;Määrä;Kurssi;Palkkio;Summa",
        "Osto;Myynti",
    ),
    "nl": (
        "Datum;Effect;Transactie;Aantal;Koers;Kosten;Bedrag",
        "Koop;Verkoop",
    ),
    "fr": (
        "Date;Valeur;Opération;Quantité;Cours;Frais;Montant net",
        "Achat;Vente",
    ),
    "es": (
        "Fecha;Valor;Operación;Títulos;Precio;Comisión;Importe neto",
        "Compra;Venta",
    ),
    "it": (
        "Data operazione;Titolo;Segno;Quantità;Prezzo;Commissioni;Controvalore",
        "Acquisto;Vendita",
    ),
    "pt": (
        "Data;Título;Operação;Quantidade;Preço;Comissão;Valor líquido",
        "Compra;Venda",
    ),
    "pl": (
        "Data transakcji;Papier;Rodzaj;Liczba;Cena;Prowizja;Wartość",
        "Kupno;Sprzedaż",
    ),
    "cs": (
        "Datum;Cenný papír;Směr;Počet;Cena;Poplatek;Objem",
        "Nákup;Prodej",
    ),
    "sk": (
        "Dátum;Cenný papier;Typ;Počet;Cena;Poplatok;Suma",
        "Nákup;Predaj",
    ),
    "hu": (
        "Dátum;Értékpapír;Ügylet;Darabszám;Árfolyam;Jutalék;Összeg",
        "Vétel;Eladás",
    ),
    "ro": (
        "Data;Simbol;Tip tranzacție;Cantitate;Preț;Comision;Valoare",
        "Cumpărare;Vânzare",
    ),
    "bg": (
        "Дата;Ценна книга;Операция;Количество;Цена;Комисиона;Стойност",
        "Покупка;Продажба",
    ),
    "hr": (
        "Datum;Vrijednosni papir;Vrsta transakcije;Količina;Cijena;Naknada;Iznos",
        "Kupnja;Prodaja",
    ),
    "sl": (
        "Datum;Vrednostni papir;Vrsta posla;Količina;Cena;Provizija;Vrednost",
        "Nakup;Prodaja",
    ),
    "sr": (
        "Датум;Хартија;Тип;Количина;Цена;Провизија;Износ",
        "Куповина;Продаја",
    ),
    "el": (
        "Ημερομηνία;Μετοχή;Πράξη;Τεμάχια;Τιμή;Προμήθεια;Αξία",
        "Αγορά;Πώληση",
    ),
    "tr": (
        "İşlem Tarihi;Hisse;Alış/Satış;Adet;Fiyat;Komisyon;Tutar",
        "Alış;Satış",
    ),
    "ru": (
        "Дата сделки;Инструмент;Вид сделки;Количество;Цена;Комиссия;Сумма",
        "Покупка;Продажа",
    ),
    "uk": (
        "Дата угоди;Інструмент;Тип операції;Кількість;Ціна;Комісія;Сума",
        "Купівля;Продаж",
    ),
    "ar": (
        "التاريخ;السهم;نوع العملية;الكمية;السعر;العمولة;المبلغ",
        "شراء;بيع",
    ),
    "he": (
        "תאריך;נייר;פעולה;כמות;שער;עמלה;סכום",
        "קניה;מכירה",
    ),
    "fa": (
        "تاریخ;نماد;نوع;تعداد;قیمت;کارمزد;مبلغ",
        "خرید;فروش",
    ),
    "th": (
        "วันที่;หลักทรัพย์;ประเภท;จำนวน;ราคา;ค่าธรรมเนียม;จำนวนเงิน",
        "ซื้อ;ขาย",
    ),
    "vi": (
        "Ngày giao dịch;Mã CK;Loại lệnh;Khối lượng;Giá;Phí;Giá trị",
        "Mua;Bán",
    ),
    "id": (
        "Tanggal;Saham;Transaksi;Jumlah;Harga;Biaya;Nilai",
        "Beli;Jual",
    ),
    "ms": (
        "Tarikh;Saham;Urus niaga;Kuantiti;Harga;Yuran;Jumlah",
        "Beli;Jual",
    ),
    "ko": (
        "거래일자;종목명;구분;수량;단가;수수료;거래금액",
        "매수;매도",
    ),
    "ja": (
        "約定日;銘柄;売買;数量;単価;手数料;約定代金",
        "買;売",
    ),
    "zhtw": (
        "成交日期;股票名稱;買賣別;股數;成交價;手續費;成交金額",
        "買進;賣出",
    ),
    "zhcn": (
        "成交日期;证券名称;买卖方向;成交数量;成交价格;手续费;成交金额",
        "买入;卖出",
    ),
    "lt": (
        "Data;Vertybinis popierius;Operacija;Kiekis;Kaina;Komisinis;Suma",
        "Pirkimas;Pardavimas",
    ),
    "lv": (
        "Datums;Vērtspapīrs;Darījums;Daudzums;Cena;Komisija;Summa",
        "Pirkšana;Pārdošana",
    ),
    "et": (
        "Kuupäev;Väärtpaber;Tehing;Kogus;Hind;Tasu;Summa",
        "Ost;Müük",
    ),
    "hi": (
        "दिनांक;शेयर;प्रकार;मात्रा;मूल्य;शुल्क;राशि",
        "खरीद;बिक्री",
    ),
}
FILL_ROWS = (
    ("2024-03-04;AAAX", 0, "10;100.00;1.00", 1000, 1001),
    ("2024-03-05;BBBX", 0, "5;200.00;1.00", 1000, 1001),
    ("2024-03-14;AAAX", 1, "10;103.90;1.00", 1039, 1038),
    ("2024-03-15;BBBX", 1, "5;195.00;1.00", 975, 974),
)


@pytest.mark.parametrize("amounts", ["none", "gross", "net"])
@pytest.mark.parametrize("language", FILLS)
def test_fills_are_read_in_many_languages(language: str, amounts: str, tmp_path: Path) -> None:
    names, words = FILLS[language]
    sides = words.split(";")
    lines = [names.rpartition(";")[0] if amounts == "none" else names]
    for begin, side, cells, gross, net in FILL_ROWS:
        amount = {"none": "", "gross": f";{gross}.00", "net": f";{net}.00"}[amounts]
        lines.append(f"{begin};{sides[side]};{cells}{amount}")
    path = tmp_path / "fills.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    made = draft(str(path), path.name)
    question = 'currency = "?"'
    answers = [[question, 'currency = "EUR"']] if question in made.text else []
    assert len(made.asked) == len(answers)
    found, refused, notes = read(path, answered(made, answers, tmp_path / "m.toml"))
    assert [(close[0], close[1], close[4], close[5]) for close in found] == [
        ("AAAX", "long", 10.0, 37.0),
        ("BBBX", "long", 5.0, -27.0),
    ]
    assert not refused
    assert not notes.names(STILL_OPEN)
