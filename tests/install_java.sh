#!/bin/sh
# Java >= 17 and Maven for the real Kafka broker of the tests; installed where that is possible, else named with the remedy.
set -eu

[ -z "${LEARND_TEST_KAFKA:-}" ] || exit 0

java_is_new_enough() {
    major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

if java_is_new_enough && command -v mvn >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Java and Maven for the test broker"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq default-jre-headless maven >/dev/null
fi
if java_is_new_enough && command -v mvn >/dev/null; then
    exit 0
fi
echo "the tests start a real Kafka broker, which needs Java >= 17 and Maven:" >&2
echo "  install them (Debian, Ubuntu: apt-get install default-jre-headless maven)," >&2
echo "  or name a broker that may be used: LEARND_TEST_KAFKA=host:port make test (what kills or secures one is skipped)" >&2
exit 1
