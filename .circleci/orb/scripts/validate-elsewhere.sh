: "${CIRCLE_TOKEN:?the context of this job must set it: a personal API token that may start the other pipeline}"
api=${CIRCLE_API:-https://circleci.com/api/v2}
poll=${VALIDATION_POLL:-15}
host_of() { local rest=${1#*://}; printf '%s' "${rest%%/*}"; }

# ask CURL-ARGUMENTS…: a request with the token, whose answer is shown where it is no success. Redirects are not followed: the token is for this host alone.
ask() {
  local answer
  answer=$(curl -sS --fail-with-body --max-time 120 -H @<(printf 'Circle-Token: %s' "$CIRCLE_TOKEN") "$@") || {
    local code=$?
    printf '%s\n' "$answer" >&2
    return "$code"
  }
  printf '%s' "$answer"
}

# pages PATH: all items of a list, over all of its pages.
pages() {
  local token="" page
  while :; do
    page=$(ask --retry 5 --get "$api/$1" ${token:+--data-urlencode "page-token=$token"}) || return
    printf '%s' "$page" | jq -c '.items[]' || return
    token=$(printf '%s' "$page" | jq -r '.next_page_token // empty') || return
    [ -n "$token" ] || return 0
  done
}

repository=$(git config --get remote.origin.url | sed -E 's#^(https?://)[^/@]*@#\1#')
export repository
parameters='{image: env.VALIDATION_IMAGE, repository: env.repository, commit: env.CIRCLE_SHA1}'
if [ -n "$VALIDATION_DEFINITION" ]; then
  end=pipeline/run
  wish=$(jq -n "{definition_id: env.VALIDATION_DEFINITION, config: {branch: env.VALIDATION_BRANCH}, checkout: {branch: env.VALIDATION_BRANCH}, parameters: $parameters}")
else
  case $VALIDATION_PROJECT in
    gh/* | github/* | bb/* | bitbucket/*) ;;
    *)
      echo "$VALIDATION_PROJECT: a GitHub App or Bitbucket Data Center project is started by the id of its pipeline definition: set the parameter definition. CircleCI starts no pipeline of a GitLab project by its API" >&2
      exit 1
      ;;
  esac
  end=pipeline
  wish=$(jq -n "{branch: env.VALIDATION_BRANCH, parameters: $parameters}")
fi
# Once: a second request would start a second pipeline.
if ! started=$(ask -H 'content-type: application/json' -d "$wish" "$api/project/$VALIDATION_PROJECT/$end") || ! pipeline=$(printf '%s' "$started" | jq -er .id); then
  echo "no pipeline of $VALIDATION_PROJECT is known to have been started. Where CircleCI gave no answer, look there before this job is run again" >&2
  exit 1
fi
echo "pipeline $(printf '%s' "$started" | jq -r '.number // .id') of $VALIDATION_PROJECT"

# Workflows may be added while others run: done is when there are some and none goes on.
said=
while :; do
  workflows=$(pages "pipeline/$pipeline/workflow")
  now=$(printf '%s' "$workflows" | jq -r '"\(.name): \(.status)"')
  if [ "$now" != "$said" ] || [ "$((SECONDS / 60))" != "${minute:-}" ]; then
    minute=$((SECONDS / 60))
    said=$now
    echo "after $minute min: ${now:-no workflow yet}"
  fi
  printf '%s' "$workflows" | jq -se 'length > 0 and all(.[]; .status | IN("running", "on_hold", "failing") | not)' > /dev/null && break
  sleep "$poll"
done
printf '%s' "$workflows" | jq -se 'all(.[]; .status == "success")' > /dev/null

# download URL FILE: an artifact. CircleCI's own hosts get the token; where one sends us on to its storage, that gets none.
download() {
  local url=$1 next
  case $(host_of "$url") in
    "$(host_of "$api")" | *.circle-artifacts.com)
      next=$(curl -sS --fail --max-time 300 --retry 5 -H @<(printf 'Circle-Token: %s' "$CIRCLE_TOKEN") -o "$2" -w '%{redirect_url}' "$url") || return
      [ -n "$next" ] || return 0
      url=$next
      ;;
  esac
  curl -sS --fail --max-time 300 --retry 5 -L -o "$2" "$url"
}

# Each job and container has its own folder: they may all call their file evidence.json.
for workflow in $(printf '%s' "$workflows" | jq -r .id); do
  jobs=$(pages "workflow/$workflow/job")
  jobs=$(printf '%s' "$jobs" | jq -r 'select(.job_number and (env.VALIDATION_JOB == "" or env.VALIDATION_JOB == .name)) | .job_number')
  for job in $jobs; do
    artifacts=$(pages "project/$VALIDATION_PROJECT/$job/artifacts")
    artifacts=$(printf '%s' "$artifacts" | jq -r 'select(.path | test("(^|/)evidence\\.json(\\.sig)?$")) | "\(.node_index // 0)\t\(.path)\t\(.url)"')
    while IFS=$'\t' read -r node path url; do
      [ -n "$url" ] || continue
      case /$path/ in */../*) echo "job $job stores an artifact at $path, which is no path" >&2; exit 1 ;; esac
      mkdir -p "build/elsewhere/$job-$node/$(dirname "$path")"
      download "$url" "build/elsewhere/$job-$node/$path"
    done < <(printf '%s\n' "$artifacts")
  done
done

mkdir -p build/elsewhere "build/evidence/$VALIDATION_IMAGE"
found=$(find build/elsewhere -name evidence.json)
if [ "$(printf '%s' "$found" | grep -c .)" != 1 ]; then
  echo "one evidence.json is wanted, over there are: ${found:-none}. Put parts together there (assay report merge) before they are signed, or name the job: parameter job" >&2
  exit 1
fi
if [ ! -e "$found.sig" ]; then
  echo "$found has no signature beside it (evidence.json.sig): validate with --sign-with over there" >&2
  exit 1
fi
cp "$found" "$found.sig" "build/evidence/$VALIDATION_IMAGE/"
