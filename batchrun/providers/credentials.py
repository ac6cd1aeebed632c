"""What requests to each type of provider prove themselves with: the kind of credential, and where it is from.

Whether the credential is there and can be used is for `Factory.check` to say.
"""

from os import environ

from batchrun.escaping import escape_control
from batchrun.job.provider_sections import ANTHROPIC, ProviderSection
from batchrun.providers.anthropic.credential import ENTER, Finding, findings, key_variable, mend_key, of_secret

AWS, GOOGLE = {"aws", "bedrock"}, {"google", "vertex"}


def credential_of(section: ProviderSection, *, is_default_address: bool = True) -> list[Finding]:
    """Describe what requests prove themselves with, and what looks wrong with it."""
    if _is_usual(section):
        return findings(is_default_address=is_default_address)
    name = key_variable(section)
    if name and (secret := environ.get(name)):
        return of_secret(name, secret)
    if section.type in AWS:
        return [Finding(_of_aws(section.profile))]
    if section.type in GOOGLE:
        file = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
        usual = "the application default credentials of Google"
        return [Finding(f"{usual}, from {escape_control(file)} (GOOGLE_APPLICATION_CREDENTIALS)" if file else usual)]
    none = "none needed" if section.free else "none"
    return [Finding(f"{none}: {name} is not set" if name else f"{none}: no `api_key_env` names a variable")]


def mend_credential(section: ProviderSection) -> str:
    """Return the command that brings a credential for a provider."""
    if section.type in AWS and not section.api_key_env:
        profile = f" --profile {section.profile}" if section.profile else ""
        return f"aws sts get-caller-identity{profile}   # says who you are there; sign in: aws sso login{profile}"
    if section.type in GOOGLE:
        return "gcloud auth application-default login"
    if _is_usual(section):
        return mend_key(with_another=True)
    name = key_variable(section)
    return ENTER.format(name) if name else 'name the variable that has the key: api_key_env = "NAME"'


def _is_usual(section: ProviderSection) -> bool:
    """Whether the SDK chooses the credential, as it does for the API of Anthropic."""
    return section.type == ANTHROPIC and not (section.api_key_env or section.is_elsewhere)


def _of_aws(profile: str | None) -> str:
    if profile:
        return f"the profile {escape_control(profile)} of the AWS settings"
    if environ.get("AWS_ACCESS_KEY_ID"):
        return "an access key of AWS, from AWS_ACCESS_KEY_ID"
    if named := environ.get("AWS_PROFILE"):
        return f"the profile {escape_control(named)} of the AWS settings (AWS_PROFILE)"
    return "what AWS's own chain finds: settings, a sign-in, or the role of the machine"
