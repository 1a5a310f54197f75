: "${CIRCLE_TOKEN:?the context of this job must set it: a personal API token that may start the other pipeline}"
api=${CIRCLE_API:-https://circleci.com/api/v2}
ask() { curl -fsSL --retry 5 -H @<(printf 'Circle-Token: %s' "$CIRCLE_TOKEN") "$@"; }

wish=$(jq -n '{branch: env.VALIDATION_BRANCH, parameters: {image: env.VALIDATION_IMAGE, repository: env.CIRCLE_REPOSITORY_URL, commit: env.CIRCLE_SHA1}}')
pipeline=$(ask -H 'content-type: application/json' -d "$wish" "$api/project/$VALIDATION_PROJECT/pipeline" | jq -er .id)
echo "pipeline $pipeline of $VALIDATION_PROJECT"

# Workflows may be added while others run: done is when there are some and none goes on.
while :; do
  workflows=$(ask "$api/pipeline/$pipeline/workflow")
  jq -e '(.items | length) > 0 and all(.items[]; .status | IN("running", "on_hold", "failing") | not)' <<< "$workflows" > /dev/null && break
  sleep "${VALIDATION_POLL:-15}"
done
jq -r '.items[] | "\(.name): \(.status)"' <<< "$workflows"
jq -e 'all(.items[]; .status == "success")' <<< "$workflows" > /dev/null

mkdir -p "build/evidence/$VALIDATION_IMAGE"
for workflow in $(jq -r '.items[].id' <<< "$workflows"); do
  for job in $(ask "$api/workflow/$workflow/job" | jq -r '.items[] | .job_number // empty'); do
    ask "$api/project/$VALIDATION_PROJECT/$job/artifacts" | jq -r '.items[] | select(.path | test("(^|/)evidence\\.json(\\.sig)?$")) | .url' |
      while read -r url; do ask -o "build/evidence/$VALIDATION_IMAGE/${url##*/}" "$url"; done
  done
done
ls "build/evidence/$VALIDATION_IMAGE/evidence.json" "build/evidence/$VALIDATION_IMAGE/evidence.json.sig"
