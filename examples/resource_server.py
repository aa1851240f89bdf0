"""A resource server in Python that verifies access tokens with PyJWT, configured with only the issuer and the audience.

    resource_server.py ISSUER AUDIENCE < token

Finds the keys by the issuer's metadata, and writes {"claims"} or {"refused"} as JSON. PyJWT does not check "typ", so the server
does.
"""

import json
import sys
import urllib.request

import jwt


def verify(token, issuer, audience):
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as response:
        metadata = json.load(response)
    if metadata["issuer"] != issuer:
        raise jwt.InvalidIssuerError("the metadata belongs to another issuer")
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(token)
    required = ["exp", "iat", "iss", "aud", "sub", "jti"]
    return jwt.decode(token, key, algorithms=["ES256"], issuer=issuer, audience=audience, options={"require": required, "verify_iat": False})


try:
    outcome = {"claims": verify(sys.stdin.read(), *sys.argv[1:])}
except jwt.PyJWTError as error:
    outcome = {"refused": f"{type(error).__name__}: {error}"}
print(json.dumps(outcome))
