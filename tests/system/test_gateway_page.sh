#!/bin/bash
# The page of the gateway in a browser: machines, search, keys, a job to its end while the broker is
# killed once, foreign text, the secret, and no error in the browser's console ([11.14], [11.15], [11.16]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
command -v chromium >/dev/null || fail "chromium is missing; install the package chromium"
make_tree "$farm/tree" 100
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
{ echo name,engine; seq -f 'm%.0f,lab' 240; } >"$farm/machines.csv"
ramet target import "$farm/machines.csv" >/dev/null
odd='<img src=x onerror="window.odd=1">'
ramet target hold m7 --reason "$odd"
gateway_key wall
gateway_up wall http wall "page = \"$source_dir/gateway/page\""
browse() { python3 "$source_dir/tests/system/browser.py" "$@"; }
text() { printf "document.getElementById('content').innerText"; }

# A wide screen in light, from an address that is none, by keys: 240 machines, the last one, one that is found by its reason.
browse 1440 light >"$farm/light.out" <<STEPS || fail "the page in light"
open $url/#/jobs/%
until document.getElementById('link').dataset.state === 'up'
until /240|239/.test(document.querySelector('.counts').innerText) && /1 held/.test(document.querySelector('.counts').innerText)
do document.querySelector('canvas').focus()
press End
until document.getElementById('grid-said').innerText.startsWith('m240: ')
press Enter
until $(text).startsWith('Machine m240')
open $url/#/
until document.getElementById('search') !== null
do document.getElementById('search').focus()
type onerror
until document.querySelector('#content table').innerText.includes('m7')
until $(text).includes('<img src=x onerror=')
say window.odd === undefined && document.querySelectorAll('#content img').length === 0
say document.documentElement.scrollWidth <= window.innerWidth
say [...document.querySelectorAll('a, button, input, canvas')].filter((one) => one.checkVisibility?.() !== false && !(one.innerText || one.ariaLabel || one.getAttribute('aria-label') || one.labels?.length)).length
STEPS
[ "$(tr '\n' ' ' <"$farm/light.out")" = "true true 0 " ] || fail "foreign text, width, names: $(cat "$farm/light.out")"

# A narrow screen in dark: a job to its end; the broker is killed meanwhile, and the page says so.
mkfifo "$farm/steps"
browse 390 dark <"$farm/steps" >"$farm/dark.out" 2>&1 & browser=$!
exec 8>"$farm/steps"
steps() { cat >&8; }
said() { wait_for 60 "the page's word $1" grep -qx "\"$1\"" "$farm/dark.out"; }
steps <<STEPS
open $url/
until document.getElementById('link').dataset.state === 'up'
say 'connected'
STEPS
said connected
end broker KILL
steps <<STEPS
until document.getElementById('link').dataset.state === 'away' && document.getElementById('link').innerText.includes('may be old')
open $url/#/machines/m7
until document.querySelector('#content .stale') !== null
say 'away'
STEPS
said away
lab up "$farm" 8>&-
job=$(ramet image create web --name web-1)
steps <<STEPS
until document.getElementById('link').dataset.state === 'up'
until $(text).includes('<img src=x onerror=')
open $url/#/
until $(text).includes('$job')
open $url/#/jobs/$job
until $(text).startsWith('Job $job')
until /state\s+done/.test($(text))
do window.tell = (value) => import('/feed.js').then((feed) => fetch('/api/v1/jobs/$job').then((answer) => answer.json()).then(({id}) => { feed.farm.jobs.set(id, {id, state: 'done', targets: new Map([['mx', value]])}); feed.changed(); }))
do tell({phase: 'unpack', done: 5, total: 10, stuck: 'very-odd'})
until $(text).includes('very-odd')
do tell({phase: 'verify'})
until $(text).includes('verify') && !$(text).includes('very-odd') && !document.querySelector('#content progress')
say document.documentElement.scrollWidth <= window.innerWidth
say getComputedStyle(document.body).backgroundColor
quit
STEPS
exec 8>&-
wait "$browser" || fail "the page in dark: $(cat "$farm/dark.out")"
grep -qx true "$farm/dark.out" || fail "the page is wider than the screen"
grep -q '17, 22, 28' "$farm/dark.out" || fail "the page is not dark: $(cat "$farm/dark.out")"

# With a secret: the page is given, and asks for it; what it shows needs it.
secret=0123456789abcdef0123
(umask 077; echo "$secret" >"$farm/read.token")
end wall
gateway_up kept http wall "read-token = \"$farm/read.token\"
page = \"$source_dir/gateway/page\""
[ "$(curl -s -o "$farm/answer" -w '%{http_code}' "$url/api/v1/events")" = 401 ] || fail "events without the secret"
browse 1440 light <<STEPS || fail "the page with a secret"
open $url/
until document.getElementById('secret').open
type $secret
press Enter
until document.getElementById('link').dataset.state === 'up'
STEPS

# Without its files the gateway says so, and answers the rest.
gateway_up bare http wall "page = \"$farm/none\""
[ "$(curl -s -o "$farm/answer" -w '%{http_code}' "$url/")" = 404 ] && grep -q 'the setting page' "$farm/answer" || fail "a page that is not there"
curl -s --fail "$url/api/v1/whoami" >/dev/null || fail "a gateway without a page"
echo "gateway page: passed"
