// Who we are: SASL's mechanism and what Java writes into `sasl.jaas.config`.

extension PropertyTranslation {
    private static let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI"]

    mutating func readLogin() {
        var mechanism: String?
        for name in ["sasl.mechanism", "sasl.mechanisms"] {
            guard let property = given[name] else { continue }
            let value = property.plainValue.uppercased()
            if Self.mechanisms.contains(value) {
                set("sasl.mechanism", value, property)
                mechanism = value
            } else if value == "OAUTHBEARER" {
                fault(property, PropertyRule.oauth)
                return
            } else if value == "AWS_MSK_IAM" {
                fault(property, "needs a Java class of Amazon's; use SCRAM-SHA-512, which MSK offers as well")
                return
            } else {
                fault(property, "expected one of \(Self.mechanisms.joined(separator: ", "))")
                return
            }
        }
        if let property = given["sasl.jaas.config"] { readJAAS(property, mechanism) }
        let usesPassword = mechanism != nil && mechanism != "GSSAPI"
        if usesPassword, values["security.protocol"]?.hasPrefix("sasl") ?? false, given["sasl.jaas.config"] == nil,
            values["sasl.username"] == nil || values["sasl.password"] == nil
        {
            fault("sasl.jaas.config", "is missing: \(mechanism ?? "") needs a username and a password")
        }
    }

    private mutating func readJAAS(_ property: GivenProperty, _ mechanism: String?) {
        let login: JaasConfiguration
        do throws(JaasConfiguration.Fault) {
            login = try JaasConfiguration(property.value)
        } catch {
            return fault(property, error.reason)
        }
        let module = login.module.split(separator: ".").last.map(String.init) ?? ""
        switch module {
        case "PlainLoginModule": readPassword(property, login, mechanism, fits: mechanism == "PLAIN", "PLAIN")
        case "ScramLoginModule":
            if login.options["tokenauth"]?.lowercased() == "true" {
                return fault(property, "delegation tokens (tokenauth) are not supported")
            }
            readPassword(
                property, login, mechanism, fits: mechanism?.hasPrefix("SCRAM-") ?? false,
                "SCRAM-SHA-256 or SCRAM-SHA-512")
        case "Krb5LoginModule": readKerberos(property, login, mechanism)
        case "OAuthBearerLoginModule": fault(property, PropertyRule.oauth)
        case "IAMLoginModule":
            fault(property, "needs a Java class of Amazon's; use SCRAM-SHA-512, which MSK offers as well")
        default: fault(property, "expected PlainLoginModule, ScramLoginModule or Krb5LoginModule")
        }
    }

    private mutating func readPassword(
        _ property: GivenProperty, _ login: JaasConfiguration, _ mechanism: String?, fits: Bool, _ wanted: String
    ) {
        guard fits else {
            return fault(
                property,
                "its login module goes with sasl.mechanism \(wanted), not \(mechanism ?? "GSSAPI, the default")")
        }
        guard let username = login.options["username"], let password = login.options["password"] else {
            return fault(property, "its options must hold username and password")
        }
        set("sasl.username", username, property)
        set("sasl.password", password, property)
    }

    private mutating func readKerberos(_ property: GivenProperty, _ login: JaasConfiguration, _ mechanism: String?) {
        guard mechanism ?? "GSSAPI" == "GSSAPI" else {
            return fault(property, "its login module goes with sasl.mechanism GSSAPI")
        }
        if let principal = login.options["principal"] { set("sasl.kerberos.principal", principal, property) }
        if let service = login.options["serviceName"] { set("sasl.kerberos.service.name", service, property) }
        if let keytab = login.options["keyTab"] {
            let path = keytab.hasPrefix("file:") ? String(keytab.dropFirst(5)) : keytab
            set("sasl.kerberos.keytab", path, property)
        } else {
            // The tickets are somebody else's to renew.
            set("sasl.kerberos.kinit.cmd", ":", property)
        }
    }
}
