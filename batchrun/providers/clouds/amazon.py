"""Amazon's chain of credentials, for Claude on AWS and for Bedrock."""

from contextlib import suppress
from typing import Any

from batchrun.errors import EnvironmentProblem
from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ProviderSection
from batchrun.masking import AMAZON_LOGGERS, never_told
from batchrun.providers.clouds.settings import missing_extra, setting

LOG_IN = "type: aws sso login; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


def session_of(section: ProviderSection) -> Any:
    """Return the session of boto3 that a section names, in the section's region if that names one.

    Raises EnvironmentProblem if boto3 is missing, or if there is no such profile.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise missing_extra(section, "aws", "boto3") from error
    never_told(*AMAZON_LOGGERS)
    try:
        return boto3.Session(profile_name=section.profile, region_name=section.region)
    except BotoCoreError as error:
        raise EnvironmentProblem(f"the settings of AWS cannot be used: {escape_control(error)}", hint=LOG_IN) from error


def region_of(section: ProviderSection) -> str:
    """Return the region. Raises EnvironmentProblem where neither the section nor AWS's own settings name one."""
    own = None
    with suppress(EnvironmentProblem):
        own = session_of(section).region_name
    return setting(section, "region", "AWS_REGION", "AWS_DEFAULT_REGION", otherwise=own)


def check_credentials(section: ProviderSection) -> None:
    """Raise EnvironmentProblem where the chain of AWS has no credentials.

    A chain may ask an address of AWS for short-lived ones, which is free of charge.
    """
    session = session_of(section)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = session.get_credentials()
        if found is not None:
            found.get_frozen_credentials()
            return
        why = "there are no credentials of AWS."
    except (BotoCoreError, ClientError) as error:
        why = f"the credentials of AWS cannot be used: {escape_control(error)}"
    raise EnvironmentProblem(why, hint=LOG_IN)
