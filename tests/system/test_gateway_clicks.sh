#!/bin/bash
# An operator's way through the page by keys and clicks: log in, make an image, plan, choose machines, see what
# would be erased, type the count, start; follow the deployment to its end while the broker is killed once; hold,
# and cancel; contrast, names and the order of the focus on every view, in both schemes and widths ([11.22], [11.23]).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/gateway.sh"
command -v chromium >/dev/null || fail "chromium is missing; install the package chromium"
make_tree "$farm/tree" 60
lab up "$farm"
lab source "$farm" web "$farm/tree"
eval "$(lab sh "$farm")"
for n in n1 n2; do lab target "$farm" $n "$farm/$n.disk" 2G --like web; done
ramet target add m3 engine=lab
gateway_key wall
gateway_operator alice
gateway_up wall http wall "operators = \"$farm/alice.cfg\"
page = \"$source_dir/gateway/page\""

mkfifo "$farm/steps"
python3 "$source_dir/tests/system/browser.py" 1440 light <"$farm/steps" >"$farm/browser.out" 2>&1 & browser=$!
exec 8>"$farm/steps"
steps() { cat >&8 || true; }        # A browser that has ended is told by said
said() {
  wait_for "${2:-60}" "the page's word $1" has_said "$1"
  grep -qx "\"$1\"" "$farm/browser.out" || fail "the browser: $(cat "$farm/browser.out")"
}
has_said() { grep -qx "\"$1\"" "$farm/browser.out" || ! kill -0 "$browser" 2>/dev/null; }
text="document.getElementById('content').innerText"
steps <<STEPS
open $url/#/images
until document.getElementById('link').dataset.state === 'up'
do window.press = (word) => { const node = [...document.querySelectorAll('button, a')].filter((one) => one.checkVisibility() && one.innerText.startsWith(word)); if (node.length !== 1) throw new Error(word + ': ' + node.length); node[0].click(); }
do press('Log in')
until document.getElementById('secret').open
type $secret_alice
press Escape
until !document.getElementById('secret').open
until sessionStorage.getItem('secret') === null && !document.getElementById('user').innerText.startsWith('alice')
do press('Log in')
until document.getElementById('secret').open
type wrong-0123456789abcdef
press Enter
until document.getElementById('user').innerText.includes('Not done')
do press('Log in')
until document.getElementById('secret').open
type $secret_alice
press Enter
until document.getElementById('user').innerText.startsWith('alice (operator)')
until document.querySelector('#source option') !== null
reach
do document.getElementById('image-name').focus()
type web-1
press Enter
until $text.startsWith('Job j-')
until /state\s+done/.test($text)
reach
open $url/#/deploy/web-1
until document.querySelector('fieldset input') !== null
do press('Plan')
until $text.includes('3. Choose machines')
until document.activeElement.innerText === '3. Choose machines'
until $text.includes('0 of 2 machines that fit are chosen')
do document.querySelector('[aria-label="Erase and install n1"]').click()
do press('Choose all 2')
until $text.includes('2 of 2 machines that fit are chosen')
do press('Show what will be erased')
until $text.includes('Image web-1 will erase the disks of 2 machines of lab')
until /n1\s+.*GiB/.test($text)
reach
do document.getElementById('count').focus()
type 3
press Enter
until $text.includes('nothing was changed')
do document.getElementById('count').select()
say 'asked'
STEPS
said asked
[ "$(ramet lock list --json | jq '.items | length')" = 0 ] || fail "a wrong count has started something"

# The broker is killed, and the deployment is confirmed meanwhile: the page sends it until the broker is back.
end broker KILL
steps <<STEPS
type 2
press Enter
until $text.includes('trying again')
say 'waits'
STEPS
said waits
lab up "$farm" 8>&-
steps <<STEPS
until $text.startsWith('Job j-') && /n1\s+(unpack|verify|boot)/.test($text)
say 'started'
STEPS
said started 120
job=$(ramet job list --json | jq -r '[.items[] | select(.kind == "deploy") | .name] | if length == 1 then .[0] else "not one" end')
end broker KILL
steps <<STEPS
until document.getElementById('link').dataset.state === 'away'
say 'away'
STEPS
said away
lab up "$farm" 8>&-
await_phase "$job" n1 awaiting-first-boot 120
await_phase "$job" n2 awaiting-first-boot 120
for n in n1 n2; do lab boot "$farm" $n 8>&-; done
ramet job wait "$job" --timeout 60s 8>&-
steps <<STEPS
until /state\s+done/.test($text) && $text.includes('2 confirmed')
open $url/#/machines/m3
until document.getElementById('hold-reason') !== null
reach
do document.getElementById('hold-reason').focus()
type dust on the fan
press Enter
until $text.includes('End the hold')
say 'held'
STEPS
said held
[ "$(ramet target list --json | jq -r '.items[] | select(.name == "m3") | "\(.state) \(.reason)"')" = "held dust on the fan" ] || fail "m3 is not held"
steps <<STEPS
do press('End the hold')
until document.getElementById('hold-reason').checkVisibility()
open $url/#/deploy/web-1
until document.querySelector('fieldset input') !== null
do press('Plan')
until $text.includes('0 of 2 machines that fit are chosen')
do document.querySelector('[aria-label="Erase and install n1"]').click()
do press('Show what will be erased')
until /n1\s.*web-1/.test($text)
do document.getElementById('count').focus()
type 1
press Enter
until $text.startsWith('Job j-') && $text.includes('Cancel the job')
do press('Cancel the job')
until document.querySelector('main dialog').open
do document.querySelector('main dialog button').click()
until /state\s+cancelled/.test($text)
do press('Log out')
until document.getElementById('user').innerText.startsWith('Log in')
say 'cancelled'
quit
STEPS
said cancelled
exec 8>&-
wait "$browser" || fail "the page: $(cat "$farm/browser.out")"

# A narrow screen in dark: the same views.
python3 "$source_dir/tests/system/browser.py" 390 dark >"$farm/dark.out" 2>&1 <<STEPS || fail "the page in dark: $(cat "$farm/dark.out")"
open $url/#/
until document.getElementById('link').dataset.state === 'up'
until $text.includes('Health') && document.querySelector('#content table') !== null
reach
open $url/#/images
until $text.includes('Make an image') && document.querySelector('#content table') !== null
reach
open $url/#/machines/m3
until document.getElementById('hold-reason') !== null
reach
open $url/#/deploy/web-1
until document.querySelector('fieldset input') !== null
do [...document.querySelectorAll('main button')].find((one) => one.innerText === 'Plan').click()
until document.getElementById('secret').open
reach
type $secret_alice
press Enter
until $text.includes('3. Choose machines')
do document.querySelector('[aria-label="Erase and install n2"]').click()
do [...document.querySelectorAll('main button')].find((one) => one.innerText === 'Show what will be erased').click()
until document.getElementById('count') !== null
reach
STEPS
ramet audit list --by alice --json | jq -e '[.items[].what] | index("job.cancel") != null' >/dev/null || { ramet audit list >&2; fail "the cancel is not alice's"; }
echo "gateway clicks: passed"
