open=()
[ -z "$PROMOTE_OPEN_BRANCH" ] || open=(--open-branch "$PROMOTE_OPEN_BRANCH")
assay promote --image "$PROMOTED_IMAGE" --to gold "${open[@]}" || [ $? = 6 ]
