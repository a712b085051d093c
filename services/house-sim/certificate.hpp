#pragma once

#include <memory>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string>

namespace house_sim {

/// A key and a certificate signed by itself, made at every start, as a gateway does when it leaves the factory.
class Certificate {
public:
    /// Throws std::runtime_error when OpenSSL cannot make one.
    Certificate();

    X509* certificate() const { return certificate_.get(); }
    EVP_PKEY* key() const { return key_.get(); }
    /// `sha256//` and the base64 hash of the public key, as curl and our TlsTrust pin it.
    std::string pin() const;

private:
    struct Free {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
        void operator()(X509* certificate) const { X509_free(certificate); }
    };

    std::unique_ptr<EVP_PKEY, Free> key_;
    std::unique_ptr<X509, Free> certificate_;
};

}  // namespace house_sim
