# Which AMIs to launch, by region. assay writes the ids here, and nothing else, in the commit on the protected branch that makes them gold
# (projection in ../../assay.hcl): a plan of Terraform shows the change like any other.
base_amis = {}
app_amis  = {}
