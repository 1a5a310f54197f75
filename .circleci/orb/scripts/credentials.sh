: "${AWS_ROLE_ARN:?the context of this job must set it, and AWS_REGION}"
: "${AWS_REGION:?the context of this job must set it, and AWS_ROLE_ARN}"
: "${CIRCLE_OIDC_TOKEN_V2:?CircleCI gives no OIDC token to this job}"
umask 077
printf '%s' "$CIRCLE_OIDC_TOKEN_V2" > "$HOME/.aws-token"
echo 'export AWS_WEB_IDENTITY_TOKEN_FILE="$HOME/.aws-token"' >> "$BASH_ENV"
echo 'export AWS_ROLE_SESSION_NAME="circleci-$CIRCLE_WORKFLOW_JOB_ID"' >> "$BASH_ENV"
