mkdir -p build/diff
for image in $DIFF_IMAGES; do
  assay diff --image "$image" --at "origin/$CIRCLE_BRANCH" --format markdown > "build/diff/$image.md" || [ $? = 6 ]
done
