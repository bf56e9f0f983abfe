"""Apache Kafka's jars: fetched by Maven from Maven Central once, and kept outside of the repository."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from brokers.broker import BrokerUnavailable

VERSION: Final = "4.1.1"
POM: Final = Path(__file__).with_name("kafka_pom.xml")
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_TIMEOUT: Final = 300.0


def folder() -> Path:
    """Where the jars of this release are, once they were fetched."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "events-core" / f"kafka-{VERSION}"


def installed() -> bool:
    """Whether this machine has Java and the jars."""
    return shutil.which("java") is not None and folder().is_dir()


def fetch() -> str:
    """Fetch the jars (43 MB, some 10 s), check them against their sums, and say where they came from.

    Raises:
        BrokerUnavailable: Maven is missing, or Maven Central cannot be reached; the message says which.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailable("Kafka's jars are missing, and so is Maven to fetch them: run `make brokers` as root")
    folder().parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="kafka-", dir=folder().parent) as place:
        jars = Path(place) / "jars"
        _run([maven, *_copying_to(jars)])
        # At once or not at all: another process may be doing the same.
        if not folder().is_dir():
            jars.rename(folder())
    return "Maven Central"


def _copying_to(jars: Path) -> list[str]:
    return [
        *("--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never", "--file", str(POM)),
        COPY,
        *(f"-Dkafka.version={VERSION}", f"-DoutputDirectory={jars}"),
    ]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailable(
            f"Maven Central did not give Kafka's jars within {FETCH_TIMEOUT:.0f} s: reach it, or start a Docker engine"
        ) from error
    if done.returncode != 0:
        raise BrokerUnavailable(
            f"Maven could not fetch Kafka's jars: reach Maven Central, or start a Docker engine\n{done.stdout[:2000]}"
        )
