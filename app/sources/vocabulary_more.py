"""What people and programs call the columns of a trade log in further languages, by field: in Thai,
Vietnamese, Indonesian, Arabic, Hebrew, Turkish, Greek, Hungarian, Romanian, and in Slavic, Baltic
and Nordic ones.

May touch: nothing.
"""

from __future__ import annotations

MORE_WORDS = {
    "entry_timestamp": (
        "hankintapäivä anskaffelsesdato anskaffningsdatum data_nabycia data_kupna datum_kúpy "
        "alım_tarihi 買進日期 買進日 买入日期 매입일자 매입일 "
        "öppnad åbnet åpnet avausaika geopend geopend_op čas_otevření čas_otvorenia "
        "nyitás_ideje ora_deschiderii време_на_отваряне vrijeme_otvaranja čas_odprtja "
        "ώρα_ανοίγματος وقت_الفتح זמן_פתיחה زمان_باز masa_buka avamise_aeg खुलने_का_समय "
        "kauf_zeitpunkt kaufzeit kaufdatum"
        " เวลาเปิด วันที่เปิด วันที่ซื้อ วันที่เข้า"
        " thời_gian_mở ngày_mở ngày_mua waktu_buka tanggal_beli"
        " tanggal_buka data_deschiderii час_відкриття дата_відкриття"
        " açılış_tarihi alış_tarihi giriş_tarihi"
        " atidarymo_laikas"
        " köpdatum købsdato kjøpsdato ostopäivä aankoopdatum datum_aankoop data_acquisto"
        " data_otwarcia czas_otwarcia 매수일자 매수일"
        " fecha_compra fecha_de_compra date_achat date_d_achat data_zakupu data_compra"
        " data_da_compra datum_nákupu"
    ),
    "exit_timestamp": (
        "luovutuspäivä försäljningsdatum avståelsesdato realisationsdato data_zbycia "
        "datum_predaja satım_tarihi 賣出日期 賣出日 卖出日期 "
        "ex_datum stängd lukket sulkemisaika gesloten gesloten_op čas_uzavření čas_zatvorenia "
        "zárás_ideje ora_închiderii време_на_затваряне vrijeme_zatvaranja čas_zaprtja "
        "ώρα_κλεισίματος وقت_الإغلاق זמן_סגירה زمان_بسته masa_tutup sulgemise_aeg "
        "बंद_होने_का_समय "
        "verkauf_zeitpunkt verkaufszeit verkaufzeit"
        " เวลาปิด วันที่ปิด วันที่ขาย วันที่ออก thời_gian_đóng ngày_đóng ngày_bán waktu_tutup"
        " tanggal_jual tanggal_tutup data_închiderii час_закриття дата_закриття"
        " kapanış_tarihi satış_tarihi çıkış_tarihi"
        " uždarymo_laikas"
        " säljdatum salgsdato myyntipäivä verkoopdatum datum_verkoop data_vendita"
        " data_zamknięcia czas_zamknięcia 매도일자 매도일"
        " fecha_venta fecha_de_venta date_vente date_de_vente data_sprzedaży data_venda"
        " data_da_venda datum_prodeje"
    ),
    "symbol": (
        "nazwa_waloru wertpapierbezeichnung waarde descrizione_titolo beteckning "
        "naam papirnavn fondsnavn naam_fonds fondsnaam ccy_pair titre termék kode kode_efek "
        "ценна_книга vrednostni_papir хартија शेयर "
        "instrumentti inštrument instrumentum instruments προϊόν 종목 प्रतीक نماد "
        "mercado mercato marknad titul název_titulu especie nemotécnico nemotecnico mã_hđ"
        " mã_hợp_đồng"
        " ký_hiệu シンボル 상품 交易品种 交易品種 商品名稱 商品名称 商品代號 商品代号"
        " หลักทรัพย์ ชื่อหลักทรัพย์ ชื่อย่อ ชื่อย่อหลักทรัพย์ หุ้น"
        " สัญลักษณ์ เหรียญ คู่เหรียญ คู่เทรด mã_ck"
        " mã_chứng_khoán mã_cp mã cặp_giao_dịch kode_saham kode_efek saham efek simbol aset"
        " pasangan σύμβολο μετοχή τίτλος тикер інструмент актив الرمز السهم الورقة_المالية"
        " sembol hisse_senedi menkul_kıymet hisse_kodu varlık enstrüman sözleşme parite kıymet"
        " simbolis instrumentas értékpapír vertybinis_popierius vērtspapīrs väärtpaber"
        " verdipapir verdipapirnavn נייר שם_נייר שם_הנייר инструмент книжа"
        " vrijednosni_papir cenný_papier papier_wartościowy"
        " token token_symbol"
    ),
    "side": (
        "nákup_prodej nákup_predaj "
        "vrsta_posla тип_трансакције urus_niaga نوع نوع_معامله प्रकार "
        "riktning retning suunta richting direção direcție směr smer smjer посока "
        "κατεύθυνση напрямок الاتجاه כיוון جهت kryptis virziens suund दिशा "
        "ประเภท ประเภทรายการ ซื้อ_ขาย รายการ ฝั่ง คำสั่ง"
        " ด้าน mua_bán loại_lệnh loại_giao_dịch loại gd"
        " transaksi jenis_transaksi tipe jenis beli_jual tip_tranzacție tip_operațiune operațiune"
        " operatiune operatie"
        " πράξη είδος κίνηση тип_операції операція النوع العملية نوع_العملية"
        " alış_satış al_sat işlem_tipi işlem_türü işlem_yönü yön"
        " tipas ügylet_típusa ügylet irány פעולה סוג_פעולה tehing darījums"
        " tipo_transaccion tipo_transacción tipo_de_transacción тип_сделка transakcija"
        " vrsta_transakcije typ_obchodu rodzaj_transakcji transaksjon"
    ),
    "quantity": (
        "الكمية_المنفذة ks amount_close "
        "units_disposed units_sold number_sold shares_sold quantity_closed "
        "lots_closed closed_lots 枚数 매도수량 "
        "qty_executed quantity_executed shares_executed "
        "einheiten units_stake stake_units kpl antal_nominellt stück_ausgeführt wielkość "
        "wolumen_lotów kontraktus "
        "kuantiti количина "
        "volum الحجم حجم मात्रा تعداد "
        "n_di_azioni numero_di_azioni núm_acciones nombre_d_actions anzahl_aktien"
        " objem 계약수 약정수량 계약수량 lot数 取引lot数 建玉数量"
        " kapanış_miktarı miktarı サイズ 交易量 交易數量 체결량"
        " gekauft จำนวน จำนวนหุ้น จำนวนหน่วย ปริมาณ หน่วย"
        " kl_khớp khối_lượng khối_lượng_khớp số_lượng kl jumlah"
        " jumlah_saham jumlah_lembar volume_lembar lembar kuantitas cantitate ποσότητα τεμάχια"
        " кількість обсяг الكمية"
        " gerçekleşen_adet gerçekleşen_miktar adet işlem_adedi işlem_miktarı lot_adedi"
        " apimtis kiekis darabszám darab mennyiség daudzums kogus antall כמות množstvo"
        " količina количество_бр ilość_szt order_qty"
    ),
    "price": (
        "cotação kurz متوسط_سعر_التنفيذ سعر_التنفيذ "
        "price_executed executed_at_price "
        "ausführungskurs deal_rate "
        "قیمت मूल्य "
        "平均単価 평균단가 매매단가 "
        "取引価格 約定値段 체결가 약정가 약정가격 약정단가"
        " ราคา ราคาต่อหุ้น ราคาต่อหน่วย ราคาเฉลี่ย ราคาที่จับคู่"
        " giá giá_khớp giá_tb giá_trung_bình harga"
        " harga_rata_rata harga_eksekusi preț preț_unitar τιμή ціна السعر سعر"
        " ortalama_işlem_fiyatı gerçekleşen_fiyat işlem_fiyatı ortalama_fiyat birim_fiyat"
        " kaina árfolyam hind cijena שער מחיר kurs_wykonania precio_ponderado"
        " precio_unitario cena_wykonania order_price"
    ),
    "entry_price": (
        "avg_cost average_cost purchase_rate 平均取得価額 平均取得単価 取得単価 매입단가 "
        "매입가 매입평균가 買進價 買進均價 买入价 買入價 alım_fiyatı "
        "taux_d_ouverture taux_ouverture purchase_price "
        "建単価 cena_otwarcia kurs_otwarcia 매수가 매수단가 "
        "otevírací_cena otváracia_cena preț_deschidere preț_de_deschidere "
        "цена_на_отваряне cijena_otvaranja cena_odprtja τιμή_ανοίγματος سعر_الفتح "
        "שער_פתיחה قیمت_باز avamishind preço_de_abertura preço_abertura खुलने_का_मूल्य "
        "durchschn_kauf kaufpreis ankaufskurs 新規約定値 建値 新規約定価格 新規レート"
        " ราคาเปิด ราคาซื้อ giá_mở giá_mua harga_buka harga_beli ціна_відкриття"
        " alış_fiyatı açılış_fiyatı"
        " atidarymo_kaina"
        " köpkurs købskurs kjøpskurs ostohinta aankoopkoers aankoopprijs prezzo_acquisto"
        " prezzo_di_acquisto precio_compra precio_de_compra prix_achat prix_d_achat"
        " cena_zakupu nákupní_cena"
    ),
    "exit_price": (
        "sale_rate 売却_決済単価 売却単価 賣出價 賣出均價 卖出价 satım_fiyatı "
        "ex_preis taux_de_clôture taux_clôture sale_price 決済単価 返済単価 cena_zamknięcia "
        "kurs_zamknięcia 매도가 매도단가 "
        "slotkoers sluttkurs slutkurs uzavírací_cena zatváracia_cena preț_închidere "
        "preț_de_închidere цена_на_затваряне cijena_zatvaranja cena_zaprtja "
        "τιμή_κλεισίματος سعر_الإغلاق שער_סגירה قیمت_بسته sulgemishind preço_de_fecho "
        "preço_fecho preço_de_fechamento बंद_होने_का_मूल्य "
        "durchschn_verkauf verkaufspreis verkaufpreis 決済約定値 決済値 決済約定価格 決済レート"
        " ราคาปิด ราคาขาย giá_đóng giá_bán harga_tutup harga_jual ціна_закриття"
        " satış_fiyatı kapanış_fiyatı"
        " uždarymo_kaina"
        " säljkurs salgskurs myyntihinta verkoopkoers verkoopprijs prezzo_vendita"
        " prezzo_di_vendita precio_venta precio_de_venta prix_vente prix_de_vente"
        " cena_sprzedaży prodejní_cena"
    ),
    "time": (
        "datum_und_uhrzeit datum_a_čas fill_timestamp exchange_timestamp handelszeitpunkt "
        "fecha_de_ejecución fecha_ejecución data_esecuzione date_d_exécution date_exécution "
        "uitvoeringsdatum data_wykonania datum_provedení data_negociação data_operação "
        "data_de_operação "
        "deal_date last_modified created_date "
        "tarikh датум تاریخ दिनांक "
        "日付_時刻 체결일시 체결일자 약정일시 거래일"
        " วันที่ วันที่ทำรายการ วันที่ซื้อขาย วันเวลา วันที่_เวลา"
        " เวลา ngày_giao_dịch ngày_gd thời_gian ngày"
        " thời_gian_khớp tanggal tanggal_transaksi waktu tgl data_tranzacției data_tranzacție"
        " ημερομηνία ημ_νία дата_угоди дата_операції التاريخ تاريخ"
        " işlem_tarihi gerçekleşme_tarihi gerçekleşme_zamanı tarih_saat işlem_zamanı"
        " dátum dátuma üzletkötés_dátuma kötés_dátuma teljesítés_dátuma datums kuupäev"
        " kötésnap kötés_napja üzletkötés_napja 매매일 매매일자 成交日"
        " tehingu_kuupäev tehingupäev"
        " תאריך תאריך_ביצוע dátum_obchodu datum_transakcije fecha_transaccion"
        " fecha_transacción fecha_de_transacción handelsdag data_zawarcia"
    ),
    "fee": (
        "poplatek yuran провизија शुल्क "
        "کارمزد کمیسیون कमीशन komisen "
        "provize"
        " hoa_hồng 대출이자"
        " ค่าธรรมเนียม ค่าคอมมิชชั่น ค่านายหน้า phí phí_gd"
        " phí_giao_dịch biaya komisi comision προμήθεια"
        " комісія العمولة عمولة"
        " işlem_ücreti komisyon komisyon_tutarı masraf"
        " komisinis komisija jutalék kurtasje kurtage עמלה poplatok naknada provizija"
        " комисиона tasu teenustasu palkkiot komisjon prowizja_maklerska"
    ),
    "gross": (
        "תמורה износ مبلغ राशि "
        "収入 交易額 交易额 약정금액 체결금액"
        " มูลค่า จำนวนเงิน มูลค่ารวม มูลค่าซื้อขาย giá_trị giá_trị_khớp giá_trị_gd thành_tiền nilai"
        " nilai_transaksi valoare αξία сума القيمة المبلغ"
        " işlem_tutarı toplam_tutar tutar hacim işlem_hacmi"
        " érték összeg summa suma vērtība beløp סכום iznos сума стойност vrednost"
    ),
    "net": (
        "importe_líquido montante_líquido valor_líquido_total összesen netto_tutarı "
        "จำนวนเงินสุทธิ ยอดสุทธิ มูลค่าสุทธิ giá_trị_thuần nilai_bersih jumlah_bersih valoare_netă"
        " καθαρή_αξία الصافي net_tutar bedrag kwota částka importo monto valor_neto valor_líquido"
        " endbetrag abrechnungsbetrag gesamtbetrag nettobetrag likvidbelopp afregnet_beløb"
        " afregningsbeløb totalbelopp yhteensä nett_amount nettbeløp oppgjørsbeløp importo_netto"
        " po_prowizji kwota_netto total_net amount_net nettó 受渡代金 精算金額 应收付金额 收付金额"
        " 实收金额 交割金额 결제금액"
    ),
    "pnl_usd": (
        "voitto_tappio vinst 損益金額 損益額 "
        "pnl_net pnl_gross profit_perte profits_pertes profits_et_pertes zysk_brutto zysk_netto "
        "чистая_п_у валовая_п_у "
        "gevinst_tab vinst_förlust tulos voitto zysk_strata zisk_ztráta zisk_strata "
        "dobiček laba untung 손익 سود लाभ resultaat winst_verlies kazanç "
        "beneficio_pérdida ganancia_pérdida profitto_perdita lucro_perda"
        " zisk hrubý_zisk čistý_zisk wynik wynik_netto wynik_brutto"
        " 盈利 盈利額 실현손익 net_kâr 매매손익 청산손익 平倉損益 平仓损益 已實現損益 已实现损益"
        " กำไร กำไรขาดทุน กำไร_ขาดทุน lãi_lỗ lợi_nhuận laba_rugi untung_rugi profit_brut profit_net"
        " κέρδος κέρδος_ζημία прибуток الربح kar_zarar kâr_zarar k_z net_kar"
        " pelnas nyereség eredmény רווח zisk dobit печалба kasum peļņa gevinst"
    ),
    "stake": (
        "purchase_value cost_or_other_basis koszt_nabycia hankintahinta omkostnadsbelopp "
        "open_value opening_value 매입금액 買進成本 取得価額 "
    ),
    "currency": (
        "สกุลเงิน tiền_tệ loại_tiền mata_uang valută νόμισμα العملة para_birimi döviz_cinsi"
        " deviza pénznem 幣別 통화구분 מטבע mena valiuta valūta valuuta валута"
    ),
    "multiplier": "szorzó sözleşme_büyüklüğü sözleşme_çarpanı çarpan",
    "account": "บัญชี tài_khoản rekening cont λογαριασμός рахунок الحساب",
    "fill_id": "เลขที่รายการ số_hiệu_lệnh nomor_transaksi",
}
"""Names of columns by field, as `known_as` writes them."""
