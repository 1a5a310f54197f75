evidence=build/evidence/$PROMOTED_IMAGE/evidence.json
[ -e "$evidence" ] || exit 0
open=()
[ -z "$PROMOTE_OPEN_BRANCH" ] || open=(--open-branch "$PROMOTE_OPEN_BRANCH")
assay promote --image "$PROMOTED_IMAGE" --to vetted --evidence "$evidence" "${open[@]}"
