"""Django's settings, all derived from Ferriage's own `Config` (see `ferriage.config`)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP
from django.utils.translation import gettext_lazy as _

from ferriage import config as ferriage_config

PACKAGE = Path(__file__).resolve().parent.parent

_path = ferriage_config.config_path()
# Tools such as makemigrations and mypy run without a shop; `ferriage` itself has read the file,
# or refused, before Django is set up.
FERRIAGE = (
    ferriage_config.load(_path)
    if _path.exists()
    else ferriage_config.parse({}, path=_path, environ={})
)


def _secret_key() -> str:
    key_file = FERRIAGE.data_dir / "secret.key"
    if FERRIAGE.site.secret_key:
        return FERRIAGE.site.secret_key
    return FERRIAGE.read_secret(key_file) if key_file.exists() else secrets.token_hex(32)


def _database() -> dict[str, Any]:
    if not FERRIAGE.database.url:
        return {
            "ENGINE": "ferriage.core.sqlite",
            "NAME": str(FERRIAGE.database_path) if _path.exists() else ":memory:",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
                ),
            },
        }
    options = FERRIAGE.database.parameters()
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": options.pop("dbname", ""),
        "USER": options.pop("user", ""),
        "PASSWORD": options.pop("password", ""),
        "HOST": options.pop("host", ""),
        "PORT": options.pop("port", ""),
        "OPTIONS": options,
        # A connection is tried before each request: after a failover the next page has a new one.
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 60,
    }


SECRET_KEY = _secret_key()
DEBUG = False
DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "ferriage.web.urls"
WSGI_APPLICATION = "ferriage.web.wsgi.application"

_url = urlsplit(FERRIAGE.site.url)
ALLOWED_HOSTS = [
    _url.hostname or "localhost",
    *FERRIAGE.site.allowed_hosts,
    *(address.rsplit(":", 1)[0].strip("[]") for address in FERRIAGE.site.listen),
    *FERRIAGE.shop_addresses,
]
CSRF_TRUSTED_ORIGINS = [f"{_url.scheme}://{_url.netloc}"]

INSTALLED_APPS = [
    "ferriage.web",
    "ferriage.payments",
    "ferriage.arrivals",
    "ferriage.orders",
    "ferriage.members",
    "ferriage.devices",
    "ferriage.plans",
    "ferriage.fleet",
    "ferriage.approvals",
    "ferriage.accounts",
    "ferriage.ledger",
    "ferriage.core",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "ferriage.web.shared.refusals.RefusalMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [
            PACKAGE / "web" / part / "templates" for part in ("shared", "portal", "backoffice")
        ],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {
                "backoffice": "ferriage.web.backoffice.tags",
                "shared": "ferriage.web.shared.tags",
            },
        },
    },
]

# --- people -----------------------------------------------------------------------------------
# Customers are `accounts.Account` with sessions of their own; these settings are for staff.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "staff-start"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "ferriage.web.backoffice.adapter.StaffAdapter"  # closed for sign-up
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
# By name alone: behind a proxy all come from one address, so a stranger's guesses would lock out
# everybody; and an address that was counted would be kept in the database.
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "5/300s/key"}
MFA_ADAPTER = "ferriage.web.backoffice.adapter.StaffMfaAdapter"
MFA_FORMS = {
    "activate_totp": "ferriage.web.backoffice.secondfactor.KeptSecretForm",
    "authenticate": "ferriage.web.backoffice.secondfactor.OnceForm",
    "reauthenticate": "ferriage.web.backoffice.secondfactor.OnceAgainForm",
}
# The code before and the one after are right too: pages are slow, and telephones' clocks are off.
MFA_TOTP_TOLERANCE = 1
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_RECOVERY_CODES_SHOW_ONCE = True
# Counts of failed log-ins are shared by all processes, so a guesser cannot spread them.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "core_cache",
    }
}

# --- language and time ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [PACKAGE / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- what goes over the wire to browsers ------------------------------------------------------
STATIC_URL = "/static/"
_static = (PACKAGE / "web" / part / "static" for part in ("shared", "portal", "backoffice"))
STATICFILES_DIRS = [directory for directory in _static if directory.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = FERRIAGE.site.secure_cookies
SESSION_COOKIE_NAME = "ferriage_staff"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
LANGUAGE_COOKIE_NAME = "ferriage_language"
CSRF_FAILURE_VIEW = "ferriage.web.shared.refusals.csrf_failure"
X_FRAME_OPTIONS = "DENY"
LOGGING_CONFIG = None
