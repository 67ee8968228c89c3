"""The rules of sharing on a page: shown, and changed once somebody has seen what changes."""

from decimal import Decimal, InvalidOperation
from functools import partial

import streamlit as st

from dashboard import formats, sharing
from dashboard.api import chargeback
from dashboard.api.chargeback import BilledIn, Rules, SharedRule
from dashboard.api.client import Client
from dashboard.api.errors import Refused
from dashboard.parts.confirm import attempt

_NEW = "A new rule"
_CURRENCY = "The currency"
_WANTED = "_rules_wanted"
_ROUND = "_rules_round"
"""In the fields' keys: they begin anew when a change is saved."""


def show(rules: Rules) -> None:
    """How shared spend is divided."""
    if not rules.shared:
        st.markdown("No spend is shared: everybody is charged what they used.")
    for rule in rules.shared:
        matched = ", ".join(f"{name} {value or 'none'}" for name, value in rule.match.items())
        by = sharing.BY.get(rule.allocate)
        name, calls = formats.plain_text(rule.name), formats.plain_text(matched)
        st.markdown(f"**{name}**  \n{calls}  \ndivided by {by}")
        for node, part in (rule.shares or {}).items():
            st.caption(f"{node}: {formats.percent_text(part, 1)}")
    if rules.currency is not None:
        st.caption(f"Billed in {rules.currency.code}, at {rules.currency.usd_rate} for a dollar.")
    st.caption("Spend without a cost centre is listed as untagged, and never left out.")


def change(client: Client, rules: Rules) -> None:
    """Fields for one rule or the currency, what a change changes, and the button that saves it."""
    with st.expander("Change the rules", icon=":material/edit:", key="rules_fold"):
        named = [f"{place}. {one.name}" for place, one in enumerate(rules.shared, 1)]
        chosen: str = st.selectbox("What to change", [_NEW, *named, _CURRENCY], key="rule_chosen")
        if chosen == _CURRENCY:
            _show_currency(rules)
        else:
            _show_rule(rules, None if chosen == _NEW else named.index(chosen))
    wanted: tuple[Rules, Rules] | None = st.session_state.get(_WANTED)
    if wanted is None:
        return
    if wanted[0] != rules:
        _leave()
        st.warning("The rules have changed meanwhile. Look at them, and change them again.")
        return
    _show_changes(client, *wanted)


def _show_rule(rules: Rules, place: int | None) -> None:
    known = None if place is None else rules.shared[place]
    last = len(rules.shared) + (place is None)
    with st.form(_key("rule", place), border=False):
        name = st.text_input(
            "Name", "" if known is None else known.name, key=_key("rule_name", place)
        )
        match = st.text_area(
            "Which calls",
            "" if known is None else sharing.match_text(known.match),
            key=_key("rule_match", place),
            placeholder="project: search",
            help="A condition a line; all must hold. A value left out matches calls without one. "
            f"There are {sharing.DIMENSIONS}.",
        )
        by = list(sharing.BY)
        allocate = st.selectbox(
            "Divided by",
            by,
            index=by.index(known.allocate) if known and known.allocate in by else 0,
            format_func=lambda one: sharing.BY[one],
            key=_key("rule_by", place),
        )
        shares = st.text_area(
            "Fixed shares",
            "" if known is None else sharing.shares_text(known.shares),
            key=_key("rule_shares", place),
            placeholder="team:search 0.4\ndepartment:sales 0.6",
            help="For fixed shares only: one a line, together 1.",
        )
        at = st.number_input(
            "Place",
            1,
            last,
            last if place is None else place + 1,
            key=_key("rule_place", place),
            help="A call belongs to the first rule that it matches.",
        )
        with st.container(horizontal=True):
            is_asked = st.form_submit_button("See what changes", key=_key("rule_see", place))
            is_gone = known is not None and st.form_submit_button(
                "Take it away", key=_key("rule_away", place), icon=":material/delete:"
            )
    if is_gone:
        _want(rules, sharing.without_rule(rules, place))
    elif is_asked:
        try:
            parts = sharing.read_shares(shares)
            rule = SharedRule(name.strip(), sharing.read_match(match), allocate, parts)
            _want(rules, sharing.with_rule(rules, place, rule, int(at) - 1))
        except ValueError as fault:
            _tell(fault)


def _show_currency(rules: Rules) -> None:
    known = rules.currency
    with st.form(_key("currency", None), border=False):
        code = st.text_input(
            "Currency",
            known.code if known else "",
            key=_key("billed_code", None),
            placeholder="EUR",
        )
        rate = st.text_input(
            "What a dollar is in it",
            f"{known.usd_rate:f}" if known else "",
            key=_key("billed_rate", None),
            placeholder="0.92",
            help="Amounts stay in USD, and are shown in it as well. Both empty: USD only.",
        )
        is_asked = st.form_submit_button("See what changes", key=_key("billed_see", None))
    if not is_asked:
        return
    try:
        billed = None
        if code.strip() or rate.strip():
            billed = BilledIn(code.strip(), _rate(rate))
        _want(rules, Rules(rules.organisation, rules.shared, billed))
    except ValueError as fault:
        _tell(fault)


def _show_changes(client: Client, rules: Rules, wanted: Rules) -> None:
    told = "\n".join(f"- {one}" for one in sharing.changes(rules, wanted))
    st.warning(
        f"**What changes, from now on; closed months stay as they are.**\n\n{told}",
        icon=":material/help:",
    )
    with st.container(horizontal=True):
        is_saved = st.button("Save the rules", key="rules_save", type="primary")
        st.button("Discard", key="rules_discard", on_click=_leave)
    if is_saved:
        attempt(partial(_save, client, rules, wanted))


def _save(client: Client, rules: Rules, wanted: Rules) -> str:
    if chargeback.rules(client, rules.organisation, old_s=0) != rules:
        raise Refused(
            "The rules have changed meanwhile.", "Open the page anew, and change them again."
        )
    chargeback.put_rules(client, rules.organisation, sharing.body_of(wanted))
    _leave()
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    return "The rules are changed. Closed months stay as they are."


def _want(rules: Rules, wanted: Rules) -> None:
    """Ask about a change that the service would take; `ValueError` says why it would not."""
    sharing.refuse_bad(wanted)
    if sharing.changes(rules, wanted):
        st.session_state[_WANTED] = (rules, wanted)
    else:
        _leave()
        st.info("That changes nothing.")


def _tell(fault: ValueError) -> None:
    _leave()
    st.warning(formats.plain_text(f"{str(fault)[:1].upper()}{str(fault)[1:]}."))


def _leave() -> None:
    st.session_state.pop(_WANTED, None)


def _rate(text: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except InvalidOperation as fault:
        raise ValueError(f"{text!r} is no rate; write what a dollar is, such as 0.92") from fault


def _key(name: str, place: int | None) -> str:
    which = "new" if place is None else str(place)
    return f"{name}_{which}_{st.session_state.get(_ROUND, 0)}"
