# What an image must not carry into its instances: everything that assay looks for. Copy it and add `allow` where your image means it.
suite "hygiene" {
  hygiene "image" {
    title = "the image carries nothing into its instances that it should not"
  }
}
