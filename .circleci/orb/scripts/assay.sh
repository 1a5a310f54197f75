# A build script runs whatever the sources say: it needs no token.
unset CIRCLE_OIDC_TOKEN CIRCLE_OIDC_TOKEN_V2
# Asked whether it runs here, not whether it is there: a cache may hold what an image with a newer libc has built.
~/assay/bin/assay --version || cargo install --locked --force --path . --bin assay --root ~/assay
