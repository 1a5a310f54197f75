# One image after the other, and the commit of each right behind it: what a job that is killed had built until then is in git. Each is planned anew when its turn
# comes, so that what another pipeline has committed meanwhile is not built again.
options=()
[ -z "$BUILD_MAX_AGE" ] || options=(--max-age "$BUILD_MAX_AGE")
mkdir -p build
worst=0
assay plan "${options[@]}" --format json > build/plan.json || worst=$?
# 2 tells of an image that building again would not help; the others are built all the same.
[ "$worst" = 0 ] || [ "$worst" = 2 ] || exit "$worst"
due=$(jq -r '.images[] | select(.due) | .image' build/plan.json)
for image in $due; do
  code=0
  assay build --image "$image" "${options[@]}" || code=$?
  [ "$worst" != 0 ] || worst=$code
  if [ -e build/manifest.json ]; then
    code=0
    assay commit --manifest build/manifest.json --all-runs || code=$?
    [ "$worst" != 0 ] || worst=$code
  fi
done
exit "$worst"
