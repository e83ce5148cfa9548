//! `[salesforce.NAME]`.

use super::*;

fn salesforce(lines: &str, route: &str) -> Result<Config, ConfigErrors> {
    let text = format!(
        "[gigya.main]\napi_keys = [\"1\"]\ndata_center = \"eu1.gigya.com\"\nuser_key = \"1\"\n\
         secret = {{ env = \"GIGYA_SECRET\" }}\n\
         [salesforce.sales]\nbase_url = \"https://x.my.salesforce.com\"\nclient_id = {{ env = \"SF_CLIENT_ID\" }}\n{lines}\n\
         [[route]]\nsubscription = \"main/newsletter\"\n{route}\n"
    );
    parse(&text)
}

const SECRET: &str = "client_secret = { env = \"SF_CLIENT_SECRET\" }\n";
const CALLBACKS: &str = "organization_id = \"00D5e000000KQ2e\"\noutbound_tokens = [{ env = \"SF_OUTBOUND_TOKEN\" }]\n";
const CONTACTS: &str = "audience = \"sales/Contact\"";

#[test]
fn an_audience_is_an_object_and_perhaps_a_checkbox() {
    let good = format!("{SECRET}{CALLBACKS}");
    for (audience, object, checkbox) in [
        ("Contact", "Contact", "HasOptedOutOfEmail"),
        ("Lead.News_Out__c", "Lead", "News_Out__c"),
        ("Account", "Account", "PersonHasOptedOutOfEmail"),
    ] {
        let route = format!("audience = \"sales/{audience}\"\nfields = {{ FirstName = \"profile.firstName\" }}");
        let config = salesforce(&good, &route).unwrap();
        let Some(Esp::Salesforce(connection)) = config.esps.values().next() else { panic!("{config:?}") };
        let meaning = connection.audiences.values().next().unwrap();
        assert_eq!((meaning.object.name(), meaning.opt_out_field.as_str()), (object, checkbox));
        assert!(meaning.fields.contains("FirstName"));
    }
    for audience in ["contact", "Opportunity", "Contact.", "Contact.a b", "Contact.1a", "Contact.a'", "Contact.A.B"] {
        let errors = salesforce(&good, &format!("audience = \"sales/{audience}\"")).unwrap_err().to_string();
        assert!(errors.contains("does not name an audience of this ESP"), "{audience}: {errors}");
    }
}

#[test]
fn what_can_not_work_is_told() {
    let good = format!("{SECRET}{CALLBACKS}");
    for (lines, route, expected) in [
        (CALLBACKS.to_owned(), CONTACTS, "client_secret: is missing"),
        (SECRET.to_owned(), CONTACTS, "outbound_tokens: is missing"),
        (good.replace("00D5e000000KQ2e", "00D"), CONTACTS, "organization_id: is not an organization's id"),
        (good.replace("organization_id = \"00D5e000000KQ2e\"", ""), CONTACTS, "organization_id: is missing"),
        (format!("{good}api_version = \"60\""), CONTACTS, "api_version: is not a version of the API"),
        (format!("{good}uid_field = \"Gigya UID\""), CONTACTS, "uid_field: is not the name of a field"),
        (format!("{good}time_zone = \"Berlin\""), CONTACTS, "time_zone: is not a time zone"),
        (good.replace("client_secret", "private_key"), CONTACTS, "private_key: is not an RSA private key"),
        (good.clone(), "audience = \"sales/Contact\"\non_inactive = \"suppress\"", "not to be had at Salesforce"),
        (good.clone(), "audience = \"sales/Contact\"\naccept_opt_ins = true", "accept_opt_ins: can't work"),
        (
            good.clone(),
            "audience = \"sales/Contact\"\naccept_opt_ins = true",
            "set consent_time_field in [salesforce.sales]",
        ),
        (good.clone(), "audience = \"sales/Opportunity\"", "if another checkbox than Email Opt Out says who is out"),
        (
            format!("{good}write_consent_time = false"),
            CONTACTS,
            "write_consent_time: does nothing without consent_time_field",
        ),
        (format!("{good}callback_auth = \"bearer\""), CONTACTS, "callback_auth: does nothing without callback_secrets"),
        (
            good.clone(),
            "audience = \"sales/Contact\"\nfields = { \"First Name\" = \"profile.firstName\" }",
            "is not the name of a field",
        ),
    ] {
        let errors = salesforce(&lines, route).unwrap_err().to_string();
        assert!(errors.contains(expected), "expected {expected:?} in:\n{errors}");
        assert!(!errors.contains("sf-secret") && !errors.contains("0123456789abcdef"), "{errors}");
    }
    let timed = format!("{good}consent_time_field = \"Time__c\"");
    assert!(salesforce(&timed, "audience = \"sales/Contact\"\naccept_opt_ins = true").is_ok());
    assert!(salesforce(&format!("{timed}\nwrite_consent_time = false"), CONTACTS).is_ok());
    let bearer = "callback_auth = \"bearer\"\ncallback_secrets = [{ env = \"SF_OUTBOUND_TOKEN\" }]";
    assert!(salesforce(&format!("{good}{bearer}"), CONTACTS).is_ok());
}
