"""Times as clients write them: one table, one parser."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps import times

HALF_PAST_TEN = datetime(2026, 11, 28, 10, 30, tzinfo=UTC)
SAME = (
    "2026-11-28T10:30:00Z", "2026-11-28T10:30Z", "2026-11-28T10:30:00+00:00", "2026-11-28T10:30:00+00",
    "2026-11-28T10:30:00+0000", "2026-11-28T10:30+00", "2026-11-28T10:30:00-00:00", "2026-11-28 10:30:00Z",
    "2026-11-28 10:30:00 +0000", "2026-11-28 10:30:00 +00:00", "2026-11-28t10:30:00z", "2026-11-28T10:30:00.000Z",
    "2026-11-28T10:30:00,000Z", "2026-11-28T10:30:00.000000000000Z", "2026-11-28T11:30:00+01:00",
    "2026-11-28T11:30+01", "2026-11-28T05:00:00-0530", "2026-11-29T10:29:00+23:59", "20261128T103000Z",
    "20261128T1030Z", "20261128T113000+0100", "2026-11-28T10:30:00", "2026-11-28T10:30", "2026-11-28 10:30",
    "2026-11-28T10:30:00.0000009Z",
)  # fmt: skip
OTHERS = {
    "2026-11-28T10:30:00.5Z": HALF_PAST_TEN.replace(microsecond=500_000),
    "2026-11-28T10:30:00,25+00": HALF_PAST_TEN.replace(microsecond=250_000),
    "2026-11-28T10:30:00.123456789Z": HALF_PAST_TEN.replace(microsecond=123_456),
    "2026-11-28T10:30:00.9999999Z": HALF_PAST_TEN.replace(microsecond=999_999),
    "2016-12-31T23:59:60Z": datetime(2017, 1, 1, tzinfo=UTC),
    "2016-12-31T23:59:60.5Z": datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC),
    "2017-01-01T05:29:60+05:30": datetime(2017, 1, 1, tzinfo=UTC),
    "2016-12-31T23:59:60": datetime(2017, 1, 1, tzinfo=UTC),
    "0001-01-01T00:00:00+23:59": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23, minutes=59))),
    "9999-12-31T23:59:59.999999-12:00": datetime(9999, 12, 31, 23, 59, 59, 999_999, timezone(-timedelta(hours=12))),
}
NONE = (
    "", "now", "2026-11-28", "10:30:00Z", "2026-11-28T10Z", "2026-11-28T24:00:00Z", "2026-02-30T10:30:00Z",
    "2026-13-01T10:30:00Z", "2026-11-28T10:60:00Z", "2026-11-28T10:30:61Z", "2026-11-28T10:30:60Z",
    "2026-11-28T10:30:00+24:00", "2026-11-28T10:30:00+01:60", "2026-11-28T10:30:00+1", "2026-11-28T10:30:00+00:00:00",
    "2026-11-28T10:30:00 UTC", "2026-11-28T10:30:00.Z", "2026-1-5T10:30:00Z", "26-11-28T10:30:00Z",
    "2026-1128T10:30:00Z", "2026-11-28T10:3000Z", "2026-W48-6T10:30:00Z", "2026-332T10:30:00Z", "1764325800",
    "1764325800.5", "2026-11-28x10:30:00Z", "2026-11-28T10:30:00ZZ", " 2026-11-28T10:30:00Z", "2026-11-28T10:30:00Z\n",
    "２０２６-11-28T10:30:00Z", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "+2026-11-28T10:30:00Z",
    "28/11/2026 10:30", "Sat, 28 Nov 2026 10:30:00 GMT",
)  # fmt: skip


@pytest.mark.parametrize("said", SAME)
def test_one_instant_however_it_is_written(said: str) -> None:
    assert times.instant_us(times.read(said)) == times.instant_us(HALF_PAST_TEN)


@pytest.mark.parametrize(("said", "meant"), OTHERS.items(), ids=OTHERS)
def test_fractions_leap_seconds_and_the_ends_of_time(said: str, meant: datetime) -> None:
    assert times.instant_us(times.read(said)) == times.instant_us(meant)


@pytest.mark.parametrize("said", NONE)
def test_what_is_no_time(said: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        times.read(said)


def test_a_zone_is_kept_and_its_absence_too() -> None:
    assert times.read("2026-11-28T11:30:00+01:00").isoformat() == "2026-11-28T11:30:00+01:00"
    assert times.read("2026-11-28 11:30 +01").isoformat() == "2026-11-28T11:30:00+01:00"
    assert times.read("2026-11-28T11:30").tzinfo is None


zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=st.none() | zones), st.sampled_from([" ", "T"]))
def test_whatever_python_and_a_decoder_of_rfc_3339_write_is_read_alike(moment: datetime, between: str) -> None:
    said = moment.isoformat(between)
    assert times.read(said) == moment == msgspec.convert(said, datetime)
    assert times.read(said).utcoffset() == moment.utcoffset()


@given(
    st.from_regex(
        r"\A2026-[0-3][0-9]-[0-3][0-9][ Tt][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,6})?(Z|z|[+-]\d\d:?\d\d)?\Z"
    )
)
def test_no_time_is_refused_that_the_decoder_would_take(said: str) -> None:
    try:
        taken = msgspec.convert(said, datetime)
    except msgspec.ValidationError:
        return
    assert times.read(said) == taken
