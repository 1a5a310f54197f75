//! The Describe calls behind VPC, subnet and group filters. It owns their paging; which filters are meant, and what too many or too few matches mean, is its callers' business.

use super::{Ec2Cloud, PAGE, answer::cloud_error, convert};
use crate::cloud::{CloudResult, CloudSubnet, DescribeFilters, NamedResource};

impl Ec2Cloud {
    /// See [`crate::cloud::Cloud::find_vpcs`].
    pub(super) async fn vpcs_where(&self, filters: &DescribeFilters) -> CloudResult<Vec<String>> {
        let mut found = Vec::new();
        if filters.is_empty() {
            return Ok(found);
        }
        let request = self.client.describe_vpcs().set_filters(Some(convert::filters(filters)));
        let mut pages = request.into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeVpcs", self.region.as_str(), e))?;
            found.extend(page.vpcs().iter().filter_map(|vpc| vpc.vpc_id()).map(str::to_owned));
        }
        Ok(found)
    }

    /// See [`crate::cloud::Cloud::find_subnets`].
    pub(super) async fn subnets_where(&self, filters: &DescribeFilters) -> CloudResult<Vec<CloudSubnet>> {
        let mut found = Vec::new();
        if filters.is_empty() {
            return Ok(found);
        }
        let request = self.client.describe_subnets().set_filters(Some(convert::filters(filters)));
        let mut pages = request.into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeSubnets", self.region.as_str(), e))?;
            found.extend(page.subnets().iter().filter_map(convert::subnet));
        }
        Ok(found)
    }

    /// See [`crate::cloud::RegionServices::offered_types`].
    pub(super) async fn types_offered(&self, types: &[String]) -> CloudResult<Vec<String>> {
        let mut found = Vec::new();
        if types.is_empty() {
            return Ok(found);
        }
        let filter = convert::filter("instance-type", types.iter().cloned());
        let mut pages =
            self.client.describe_instance_type_offerings().filters(filter).into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeInstanceTypeOfferings", self.region.as_str(), e))?;
            let offered = page.instance_type_offerings().iter().filter_map(|offering| offering.instance_type());
            found.extend(offered.map(|kind| kind.as_str().to_owned()));
        }
        Ok(found)
    }

    /// DescribeSecurityGroups by these filters.
    pub(super) async fn groups_where(
        &self,
        filters: Vec<aws_sdk_ec2::types::Filter>,
    ) -> CloudResult<Vec<NamedResource>> {
        let mut pages =
            self.client.describe_security_groups().set_filters(Some(filters)).into_paginator().page_size(PAGE).send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeSecurityGroups", self.region.as_str(), e))?;
            found.extend(page.security_groups().iter().filter_map(convert::security_group));
        }
        Ok(found)
    }
}
