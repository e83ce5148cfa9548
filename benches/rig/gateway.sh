#!/usr/bin/env bash
# Puts this gateway into a rig that compares webhook gateways: makes a configuration file of the environment that the rig
# gives, and becomes the gateway, with JSON logs, metrics and every protection as it has them anyway.
#
# PORT, GIGYA_BASE_URL, ESP_BASE_URL, GIGYA_SECRET (base64), GIGYA_API_KEY, GIGYA_USER_KEY, ESP_API_KEY, ESP_LIST_ID; and
# GATEWAY, the binary; else the release build beside it. Its webhooks' path is /webhooks/gigya/main.
#
# The rig's gateways make two calls an event, of which the second writes. This one makes two where nothing is to be changed, and four for
# somebody whom the ESP doesn't know. So that like is compared to like, calls.patch (`patch -p1 <calls.patch` in the rig) has them make
# the same four with LIMIT_CALLS=4, and this one meet accounts that it has told before with SAME=1.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
file=$here/target/rig-$PORT.toml
cat >"$file" <<TOML
[server]
listen = "127.0.0.1:$PORT"
admin_listen = "127.0.0.1:0"
max_in_flight = 2000

[gigya.main]
api_keys = ["$GIGYA_API_KEY"]
base_url = "$GIGYA_BASE_URL"
allow_http = true
user_key = "$GIGYA_USER_KEY"
secret = { env = "GIGYA_SECRET" }
webhook_auth = "hmac-sha1"
signature_max_age = "10000d" # the rig's events are of 2015
webhook_secrets = [{ env = "GIGYA_SECRET" }]

[campaign_monitor.news]
api_key = { env = "ESP_API_KEY" }
callback_tokens = [{ env = "CALLBACK_TOKEN" }]
time_zone = "UTC"
base_url = "$ESP_BASE_URL/api/v3.3"
allow_http = true

[[route]]
subscription = "main/newsletter"
audience = "news/$ESP_LIST_ID"
fields = { Name = "{profile.firstName} {profile.lastName}", Country = "profile.country" }
TOML
# Never asked for: no callback comes.
export CALLBACK_TOKEN=0123456789abcdef0123456789abcdef
exec "${GATEWAY:-$here/target/release/gigya-esp-gateway}" serve --config "$file"
