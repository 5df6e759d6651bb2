"""What a stream tells about itself at /metrics."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("palisade_stream_messages_total", "Messages done with: answered or put aside", ["outcome"])
DEAD_LETTERS = Counter("palisade_stream_dead_letters_total", "Messages sent to the dead-letter topic", ["reason"])
WAITS = Counter("palisade_stream_waits_total", "Messages put off to be tried again", ["reason"])
WAITING = Gauge(
    "palisade_stream_waiting", "Messages held until they are tried again", ["reason"], multiprocess_mode="mostrecent"
)
SECONDS = Histogram(
    "palisade_stream_seconds",
    "From a message's production to the delivery of its answer",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300),
)
BATCH = Histogram(
    "palisade_stream_batch_messages", "Messages decided at once", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500)
)
LAG = Gauge(
    "palisade_stream_lag_messages",
    "Messages of a partition not yet answered",
    ["topic", "partition"],
    multiprocess_mode="mostrecent",
)
AGE = Gauge(
    "palisade_stream_age_seconds",
    "Age of the oldest message of a partition when last looked at, 0 when none waits",
    ["topic", "partition"],
    multiprocess_mode="mostrecent",
)
BROKER_AWAY = Gauge("palisade_stream_broker_away", "1 while no broker can be reached", multiprocess_mode="mostrecent")
BROKER_LOST = Counter("palisade_stream_broker_lost_total", "Times the brokers went away")
UNDELIVERED = Counter("palisade_stream_undelivered_total", "Tries of a delivery that a broker refused", ["reason"])
ERRORS = Counter("palisade_stream_errors_total", "Errors the broker or its client told of", ["reason"])
