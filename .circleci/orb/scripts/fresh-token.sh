# Every 20 minutes, and after a failure every 30 seconds: the token in the file never has less than half an hour left, unless nothing answers for so long.
umask 077
pause=1200
while sleep "$pause"; do
  if circleci run oidc get --claims "{\"aud\": \"$CIRCLE_ORGANIZATION_ID\"}" > "$HOME/.aws-token.new" && [ -s "$HOME/.aws-token.new" ]; then
    mv "$HOME/.aws-token.new" "$HOME/.aws-token"
    pause=1200
  else
    echo "$(date -u +%H:%M:%S) no fresh OIDC token; asking again in 30 s" >&2
    pause=30
  fi
done
