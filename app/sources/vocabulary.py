"""What people and programs call the columns of a trade log, by field, in the languages that exports
come in; the likeliest name first.

May touch: nothing.
"""

from __future__ import annotations

WORDS = {
    "trade_id": (
        "trade_id tradeid position_id deal_id ticket position trade trade_no trade_number no nr"
        " id exit_trade_id pos_id order_no deal ticket_no numéro numero trade_nr handelsnummer"
        " 交易 transaktionsnummer número numéro_de_l_ordre position_nr trade_num number"
        " n_º_de_operación n_de_operación trade_n trade_numéro позиция posição pozycja posizione"
    ),
    "entry_timestamp": (
        "entry_time entry_timestamp entry_date entry_datetime open_time open_date open_timestamp"
        " opened opened_at date_opened opened_on open_dt opened_date time_in entered entered_at"
        " entry_ts buy_date bought start_time start_date entry_at opening_time opening_date"
        " open_datetime date_open open_date_time entry_date_time bought_timestamp boughttimestamp"
        " date_in opening_time_utc entry_dt date_acquired acquired buy_time time_opened eröffnet"
        " eröffnung einstiegszeit eröffnungszeit kaufdatum einstieg_datum heure_d_entrée"
        " date_d_ouverture date_d_entrée ouverture fecha_de_apertura hora_de_entrada hora_entrada"
        " fecha_apertura data_apertura ora_di_apertura open_at datetime_in enter_time enter_date"
        " opening_date_time entry open"
        " abertura data_de_abertura data_entrada hora_de_abertura date_time_opened"
        " ts_opened"
        " openingsdatum"
        " eröffnungsdatum"
    ),
    "exit_timestamp": (
        "exit_time exit_timestamp exit_date exit_datetime close_time close_date close_timestamp"
        " closed closed_at date_closed closed_on close_dt time_out exited exited_at exit_ts"
        " sell_date sold end_time end_date exit_at closing_time closing_date close_datetime"
        " date_close close_date_time exit_date_time sold_timestamp soldtimestamp date_out"
        " closing_time_utc exit_dt date_sold sell_time time_closed geschlossen schließung"
        " ausstiegszeit schlusszeit verkaufsdatum heure_de_sortie date_de_fermeture"
        " date_de_sortie fermeture fecha_de_cierre hora_de_salida hora_salida fecha_cierre"
        " data_chiusura ora_di_chiusura closed_time closed_date datetime_out exit settlement_time"
        " update_time trade_time updated_time close_at closing_date_time close ex_date ex_time"
        " fechamento data_de_fechamento data_saída hora_de_fechamento datum_schließung"
        " ts_closed"
        " sluitingsdatum"
    ),
    "symbol": (
        "symbol ticker symb pair instrument market asset underlying contract security coin product"
        " symbol_name trading_pair contracts contract_name contractname underlying_symbol"
        " instrument_name item symbols futures stock stock_symbol symbol_code market_name"
        " underlying_asset wertpapier basiswert símbolo symbole instrumento strumento simbolo"
        " 商品 合約 合约 交易對 交易对 инструмент символ sid produkt produit instid"
        " inst_id ティッカー instrument_id contract_code spot_pairs spot_pair"
        " trading_symbol tradingsymbol"
        " symbol_value column epic 品種 品种 銘柄 valeur libellé valor título product_code"
        " code company scrip"
        " scrip_name security_name stock_name product_name company_name name action ativo titolo"
        " contract_symbol pairs código_de_negociação código_ativo papel"
        " papier walor värdepapper_beskrivning värdepapper verdipapir 代码 代碼 证券代码 證券代碼"
        " 股票代码"
        " 股票代碼 合约代码 合約代碼 銘柄コード 証券コード 证券名称 證券名稱"
        " ticker_symbol bezeichnung isin wkn sedol"
        " 종목명 종목코드 тикер инструмент_код wertpapiername ticker_symbol base_currency_name"
        " symbol_cusip 銘柄名 identifier base_currency"
        " marktname asset_name"
        " arvopaperi értékpapír cenný_papír sembol hisse"
        " 通貨ペア investments fund_name company_detail investment company_stock_name"
    ),
    "side": (
        "side direction long_short position_side action buy_sell b_s type position"
        " transaction_type trade_type trans_code transaction_code transaction_subcode"
        " closing_direction order_side side_direction trade_direction l_s pos_side posside"
        " order_type buysell bs transaction activity activity_type market_pos trade_side richtung"
        " art typ seite kauf_verkauf handelsart sens type_d_ordre pos_marché tipo dirección"
        " direccion lado sentido operación operacion compra_venta 類型 类型 方向 買賣 направление"
        " тип tür kierunek position_type market_position operation deal_type description sub_type"
        " is_short short タイプ transaktion opération dir trade"
        " buy_or_sell c_v a_v k_s segno tipo_de_movimentação tipo_operazione"
        " typ_av_transaktion transaktionstyp transaksjonstype transaktionsart 取引 取引区分"
        " 売買 売買区分"
        " 買卖方向 买卖方向 買賣方向 操作 subtype activity_sub_type compra_ou_venda"
        " tipo_de_operação"
        " operação"
        " 구분 매매구분 операция вид_операции way sens_de_l_opération"
        " actie"
    ),
    "rr": (
        "rr pnl_r gross_pnl_r net_pnl_r r_multiple r_mult rmultiple r risk_reward realized_r"
        " result_r realized_rr r_r actual_r"
    ),
    "stake": (
        "stake stake_amount buy_value cost_basis cost_basis_cb invested invested_amount"
        " investment amount_invested purchase_amount buy_amount total_cost cost adjusted_cost"
        " entry_value einstandswert"
    ),
    "roi": (
        "roi return return_pct ret returns profit_pct profit_ratio profit_percent pnl_pct"
        " pnl_percent gain_pct pct_return return_percent result_pct net_return percent roi_pct"
        " profit_loss_pct net_roi pct_gain pct_profit realized_pnl_pct net_pnl_pct pl_pct"
        " gain_loss_pct rendite_pct rendite rendement rentabilidad pct_change change_pct 獲利_pct"
        " gewinn_pct pnl_ratio profit_rate net_p_l_pct p_l_pct closed_pnl_pct realized_p_l_pct"
        " returnpct plpc chng_pct pct_chg chg_pct"
    ),
    "pnl_usd": (
        "pnl net profit net_profit profit_usd p_l pl net_pnl realized_pnl realised_pnl gain"
        " profit_loss profit_abs result net_pl net_p_l profit_usdt pnl_usdt gross_pnl net_gain"
        " closed_pnl closed_p_l realized_profit realised_profit realized_p_l realised_p_l"
        " gross_p_l net_gain_loss gain_loss realized_gain_loss total_pnl closing_pnl position_pnl"
        " profit_and_loss profit_loss_amount realized_gain amount_pnl trade_pnl net_amount_pnl"
        " return_usd gewinn ergebnis gewinn_verlust guv g_v bénéfice profit_net resultado"
        " ganancia beneficio ganancias_pérdidas bénéfices gain_perte profitto risultato 獲利 收益"
        " 盈虧 盈亏 已實現盈虧 прибыль lucro kâr zysk profitloss profit_amount fifo_pnl_realized"
        " fifopnlrealized pnl_realized realized_pl realised_pl net_realized_pnl fifopnl closed_pl"
        " trade_p_l p_and_l earnings profit_value gross_profit gross_pl grosspnl 淨損益 净损益"
        " 損益 损益 淨利 净利"
        " net_return res_operação resultado_líquido lucro_prejuízo resultat resultado_operação"
        " gain_or_loss total_p_l total_pl pnl_abs"
        " result_in_currency profit_in_currency net_result p_l_net"
        " closed_profit_loss"
        " winst guv_betrag"
        " realisierter_g_v pnl_réalisé pyg_realizadas"
    ),
    "max_drawdown": (
        "max_drawdown drawdown max_dd mae mae_pct worst drawdown_pct max_drawdown_pct"
        " max_adverse_excursion"
    ),
    "max_gain": "max_gain mfe mfe_pct runup run_up best max_runup max_favorable_excursion",
    "entry_price": (
        "entry_price cost_per_share cost_share open_price open_rate buy_price avg_entry_price"
        " avg_px_open price_in entry avg_entry opening_price average_entry_price entry_px opening"
        " price_open avg_open_price average_open_price buy_avg bought_price entry_avg_price"
        " avg_buy_price opening_rate avg_entry_px entry_avg einstieg einstiegspreis einstiegskurs"
        " eröffnungskurs eröffnungspreis kaufkurs prix_d_entrée prix_d_ouverture"
        " precio_de_entrada precio_apertura precio_de_apertura prezzo_di_apertura entry_level"
        " open_level enter_price entry_fill_price avg_price_entry open_avg_price open"
        " preço_compra preço_de_compra preço_médio_compra preço_entrada preço_de_entrada"
        " average_enter average_open enter buy_rate prezzo_di_carico"
        " opening_level"
        " openingskoers"
    ),
    "exit_price": (
        "exit_price proceeds_per_share proceeds_share close_price close_rate sell_price"
        " avg_exit_price avg_px_close price_out exit avg_exit closing_price average_exit_price"
        " exit_px closing price_close avg_close_price average_close_price sell_avg sold_price"
        " exit_avg_price avg_sell_price closing_rate avg_exit_px exit_avg ausstieg ausstiegspreis"
        " ausstiegskurs schlusskurs schließungskurs verkaufskurs prix_de_sortie prix_de_fermeture"
        " precio_de_salida precio_cierre precio_de_cierre prezzo_di_chiusura exit_level"
        " close_level closing_level exit_fill_price avg_closed_price avg_close close_avg_price"
        " close ex_price"
        " preço_venda preço_de_venda preço_médio_venda preço_saída preço_de_saída"
        " average_exit average_close sell_rate prezzo_di_scarico"
        " sluitingskoers"
    ),
    "quantity": (
        "lastqty last_qty filled quantity_transacted filled_qty filled_quantity fill_qty"
        " exec_qty executed_qty executed_quantity executed quantity qty size shares contracts"
        " units amount volume sz lots filled_amount filled_size fill_quantity exec_quantity"
        " lot_size trade_size position_size contract_size_qty num_shares no_of_shares"
        " shares_contracts traded_qty trade_qty closed_size closed_qty closed_volume"
        " closing_quantity vol trade_quantity order_qty anzahl stück menge kontrakte contrats"
        " contratos contratti lotgröße volumen qté quantité taille cantidad tamaño volúmen"
        " quantità aantal 合約 數量 数量 成交量 口數 объём ilość deal_size position_qty filledqty"
        " max_size closed_amount execqty size_units coin_amount base_amount volume_lots 倉位大小"
        " 仓位大小 部位大小 position_size_qty 頭寸 títulos titres trade_amount объем miktar"
        " wolumen volume_lotti change"
        " executed_amount closed_vol closed_volume_contracts no_of_contracts"
        " number_of_contracts num_contracts contract_quantity qtd qtd_compra quantidade antal"
        " liczba quantita nominal stück_nom nominal_stk menge_stück stück_nominal"
        " fill_size nominal_units"
        " handlet_antal aantal_stuks määrä amount_asset deal_amount change_amount"
        " 成交数 成交数量 約定数量"
        " 数量_株 株数 成交股数 成交股數"
        " 委托数量 closing_qty matched_qty paired_qty"
        " 수량 체결수량 количество кол_во base_amount"
        " open_volume opening_volume"
        " peak_qty"
        " closed_value"
        " quantity_lot eenheden"
        " units_amount größe buy_qty"
    ),
    "fees_usd": (
        "fees_usd fees fee commission commissions costs total_fees comm comm_fee trading_fee"
        " ibcommission commission_fees fees_comm commissions_fees total_commission total_fee"
        " trade_fees gebühren gebühr provision kommission frais comisión comisiones commissione"
        " 手續費 手续费 trading_fees"
    ),
    "hold_time_days": "hold_time_days hold_days days_held holding_days",
    "timeframe": "timeframe time_frame tf interval",
    "bucket": "bucket sector asset_class category",
    "chain": "chain exchange venue broker",
    "currency": (
        "quote_currency instrumentvaluta währungskürzel currency instrument_currency trade_currency"
        " settle_currency ccy"
        " currencyprimary currency_primary quote_asset währung devise moneda valuta"
        " price_currency devise_du_prix"
        " handelsvaluta spot_price_currency profit_currency pnl_currency"
        " account_currency divisa"
        " transaktionsvaluta waluta divisa_prezzo moeda asset_currency whrg rate_currency"
        " value_currency price_ccy"
        " валюта buchungswährung 통화"
        ""
    ),
    "revision": "revision",
    "multiplier": (
        "multiplier contract_size point_value contract_multiplier contract_value lot_units mult"
        " contractsize pointvalue big_point_value"
    ),
    "account": (
        "account account_id acct subaccount account_number account_reference clientaccountid"
        " konto compte cuenta account_name uid portfolio"
    ),
    "price": (
        "quote_price lastpx last_px avg_price average_price avg_fill_price average_fill_price"
        " fill_price exec_price price price_at_transaction trade_price execution_price rate"
        " t_price filled_price executed_price tradeprice avgprice price_per_unit price_share"
        " unit_price price_per_share avg_filled_price kurs preis ausführungskurs cours prix"
        " precio prezzo koers 價格 价格 成交價 成交价 成交均价 цена cena deal_price last_price"
        " avgpx avg_px fillprice fillpx order_price execution_avg_price spot_price_at_transaction"
        " trade_px 価格 px fill_px exec_px premium preço"
        " traded_price transaction_price trade_price_per_share unit_cost price_per_contract"
        " kurs_eur prezzo_medio preço_médio preço_unitário 約定単価 単価 单价 成交价格 成交價格"
        " filled_avg_price average_filled_price ausführungspreis unit_price_p"
        " 단가 체결단가 цена_сделки purchase_price price_per_unit_amount unitprice 単価_円"
        " handelskurs handelskoers kurssi rate_ex_fee price_ex_fee asset_market_price asset_price"
        " t_kurs prix_trans precio_trans prezzo_trans kaupankäyntikurssi"
        " price_pct kurs_pct cours_pct prezzo_pct"
    ),
    "time": (
        "filled_time fill_time exec_time executed_at execution_time order_execution_time"
        " transaction_time trade_time datetime date_time time_filled timestamp time date"
        " trade_date time_utc date_utc created_at transact_time filled_at run_date activity_date"
        " execution_date transaction_date order_time update_time create_time executed_time"
        " trade_datetime trade_date_time fill_date filled_date tradetime last_fill_time"
        " closed_time closing_time close_time order_date zeit datum handelszeit ausführungszeit"
        " datum_zeit uhrzeit heure date_heure fecha hora fecha_hora data ora tijd 日期 時間 时间"
        " 成交時間 成交时间 日期_時間 время дата czas exec_datetime event_time filltime trade_ts"
        " utc_time dt filled_canceled filled_cancelled date_utc_0 datetime_utc txn_date exectime"
        " 日期_时间 日期时间 日時 horário"
        " t_d datum_transaktion affärsdag handelsdag geschäftstag handelstag data_do_negócio"
        " data_pregão data_operazione operazione czas_transakcji data_transakcji 約定日 約定日時"
        " 成交日期 成交日時 tradedate transaktionsdatum buchungstag handelsdatum"
        " handelsdato kauppapäivä transactiedatum"
        " 거래일자 체결일 дата_время дата_сделки date_opération"
        " ts_event"
    ),
    "fee": (
        "fee fees commission commissions comm comm_fee trading_fee cost_fee ibcommission"
        " total_fees commission_fees fees_comm commissions_fees fee_amount fee_paid trade_fee"
        " gebühr gebühren provision frais comisión commissione transaction_fee 手續費 手续费"
        " fillfee exec_fee fees_and_or_spread trade_fee_in_quote misc_fees regulatory_fees"
        " other_fees reg_fee sec_fee nfa_fee clearing_fee clearing_fees exchange_fee fees_total"
        " prov_gebühr comm_tarif tarifa_com gebuehr kurtage provisie transactiekosten palkkio"
        " brokerage courtage courtage_kr prowizja commissioni_amministrato total_commission"
        " total_charges 手数料 手数料_諸経費等 corretagem taxas"
        " 수수료 комиссия"
    ),
    "fee_currency": (
        "fee_currency settl_currency settlcurrency fee_coin fee_asset commission_asset"
        " commission_currency feecoin fee_ccy commissionasset fee_cur ibcommissioncurrency"
        " fee_unit moeda_da_taxa"
    ),
    "open_close": (
        "open_close openclose open_close_indicator openclose_indicator opencloseindicator"
        " pos_effect position_effect effect code codes notes_codes offset direction entry"
        " open_closed transaction_effect trade_effect"
        " 开平 開平 平仓标志"
        " intent position_intent"
    ),
    "gross": (
        "traded_value home_notional homenotional waarde lokale_waarde proceeds gross_amount"
        " gross notional trade_value trade_money value principal principal_amount cost"
        " quote_amount turnover trademoney amount total notional_value quote_qty quote_quantity"
        " gross_value total_value executed_value consideration trade_amount quoteqty wert betrag"
        " montant importe order_value filled_value subtotal"
        " kontraktwert wartość controvalore belopp valor 成交金额 成交金額 成交额"
        " consideration_value"
        " erlös trade_total gross_proceeds amount_fiat deal_value"
        " 거래금액 сумма montant_brut importe_bruto quote_amount_total bruttobetrag"
    ),
    "net": (
        "booked_amount totaal net_amount net_cash netcash amount net_amt net_proceeds total cash"
        " cash_amount net_value net total_amount net_total amount_usd"
        " net_cash_amount importo_euro booked_value 发生金额 發生金額 受渡金額"
        " 受渡金額_決済損益 清算金額 kurswert"
        " umsatz"
        " 정산금액 montant_net importe_neto 受渡金額_円"
        " beløb_i_handelsvaluta beløb net_consideration settled_amount settlement_amount"
        " net_settlement_amount"
    ),
    "fill_id": (
        "fill_id exec_id execution_id trade_id tradeid id transaction_id txid match_id deal_id"
        " deal execid ibexecid transactionid exchange_trade_id reference txn_id tradeno"
    ),
}
"""Names of columns by field, as `known_as` writes them."""
