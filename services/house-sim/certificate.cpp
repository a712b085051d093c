#include "house-sim/certificate.hpp"

#include <array>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <vector>

namespace house_sim {

namespace {

constexpr long backdated_s = -3600;  // clocks of clients may be a little behind
constexpr long valid_s = 10L * 365 * 24 * 3600;

void require(bool worked) {
    if (!worked) {
        throw std::runtime_error("OpenSSL cannot make a certificate");
    }
}

void name(X509* certificate) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const auto* common_name = reinterpret_cast<const unsigned char*>("powerwall");
    require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common_name, -1, -1, 0) == 1);
    require(X509_set_issuer_name(certificate, subject) == 1);
    std::string names = "DNS:powerwall,DNS:teg,DNS:powerpack,DNS:localhost,IP:127.0.0.1";
    X509_EXTENSION* alternatives = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
    require(alternatives != nullptr);
    const bool added = X509_add_ext(certificate, alternatives, -1) == 1;
    X509_EXTENSION_free(alternatives);
    require(added);
}

}  // namespace

Certificate::Certificate() : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    require(key_ && certificate_);
    X509* const made = certificate_.get();
    require(X509_set_version(made, X509_VERSION_3) == 1);
    require(ASN1_INTEGER_set(X509_get_serialNumber(made), 1) == 1);
    require(X509_gmtime_adj(X509_getm_notBefore(made), backdated_s) != nullptr);
    require(X509_gmtime_adj(X509_getm_notAfter(made), valid_s) != nullptr);
    require(X509_set_pubkey(made, key_.get()) == 1);
    name(made);
    require(X509_sign(made, key_.get(), EVP_sha256()) > 0);
}

std::string Certificate::pin() const {
    unsigned char* encoded = nullptr;
    const int length = i2d_PUBKEY(key_.get(), &encoded);
    require(length > 0);
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(encoded, static_cast<std::size_t>(length), digest.data());
    OPENSSL_free(encoded);
    std::array<unsigned char, 64> text{};
    const int size = EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
    return "sha256//" + std::string(text.begin(), text.begin() + size);
}

}  // namespace house_sim
