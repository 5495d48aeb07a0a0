#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A real Prometheus scrapes the demo service: the target is up, and the histogram of pulse
# intervals answers histogram_quantile.

set -u
export LC_ALL=C
: "${EXAMPLES:=./examples}"

skip() {
	echo "$*: not checked"
	exit 77
}

for tool in curl jq prometheus; do
	command -v $tool >/dev/null || skip "no $tool"
done

tmp=$(mktemp -d)
service=
prometheus=
clean_up() {
	{
		[ -z "$prometheus" ] || kill -KILL $prometheus
		[ -z "$service" ] || kill -KILL $service
		wait
	} 2>/dev/null
	rm -rf "$tmp"
}
trap clean_up EXIT

fail() {
	echo "FAIL: $*"
	tail -n 20 "$tmp"/*.log
	exit 1
}

# Until a file has a line like this, which is then printed; 20 s at most.
await() { # PATTERN FILE
	local i

	for ((i = 0; i < 200; i++)); do
		grep -m 1 -- "$1" "$2" && return
		sleep 0.1
	done
	return 1
}

mkdir -p "$tmp/tree"
for i in {1..40}; do
	head -c 100000 /dev/zero >"$tmp/tree/$i"
done
"$EXAMPLES/service" --listen 127.0.0.1:0 "$tmp/tree" >"$tmp/service.log" 2>&1 &
service=$!
line=$(await '^listening on ' "$tmp/service.log") || fail 'the service does not serve'
target=${line#listening on http://}

cat >"$tmp/prometheus.yml" <<END
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: service
    static_configs:
      - targets: ['$target']
END
prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/data" \
	--web.listen-address=127.0.0.1:0 >"$tmp/prometheus.log" 2>&1 &
prometheus=$!
line=$(await 'msg="Listening on"' "$tmp/prometheus.log") || fail 'Prometheus does not serve'
line=${line##*address=}
url=http://${line%% *}

# Until an expression answers with just that, or with any number; 30 s at most.
await_value() { # EXPRESSION [VALUE]
	local i value

	for ((i = 0; i < 150; i++)); do
		value=$(curl -s --max-time 5 --data-urlencode "query=$1" "$url/api/v1/query" |
			jq -r '.data.result[0].value[1] // empty')
		case $value in
		'' | NaN | +Inf | -Inf) ;;
		*) [ -z "${2-}" ] || [ "$value" = "$2" ] && { echo "ok: $1 is $value"; return; } ;;
		esac
		sleep 0.2
	done
	fail "$1 is '$value'"
}

await_value 'up{job="service"}' 1
await_value vitals_healthy 1
await_value vitals_live 1
await_value 'histogram_quantile(0.99, sum by (le) (rate(vitals_heartbeat_pulse_interval_seconds_bucket[30s])))'
await_value 'sum(vitals_heartbeats{group="workers"})' 4
