"""Which spending is allowed: caps, and the policy of project and operator. Pure: values in, values out."""
