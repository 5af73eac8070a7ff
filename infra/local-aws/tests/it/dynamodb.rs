use std::collections::HashMap;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
    ScalarAttributeType, TransactWriteItem,
};

use crate::Stack;

fn item(sort: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S("p".into())),
        ("sk".to_owned(), AttributeValue::S(sort.into())),
        ("n".to_owned(), AttributeValue::N("1".into())),
    ])
}

impl Stack {
    async fn table(&self) {
        let mut create = self.dynamodb.create_table().table_name("items");
        create = create.billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            let attribute = attribute
                .attribute_type(ScalarAttributeType::S)
                .build()
                .unwrap();
            let key = KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind);
            create = create
                .attribute_definitions(attribute)
                .key_schema(key.build().unwrap());
        }
        create.send().await.unwrap();
    }

    async fn transact(&self, sorts: &[&str]) -> Result<(), aws_sdk_dynamodb::Error> {
        let puts = sorts.iter().map(|sort| {
            let put = Put::builder()
                .table_name("items")
                .set_item(Some(item(sort)));
            let put = put
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .unwrap();
            TransactWriteItem::builder().put(put).build()
        });
        let write = self
            .dynamodb
            .transact_write_items()
            .set_transact_items(Some(puts.collect()));
        write.send().await?;
        Ok(())
    }

    async fn query(&self) -> Vec<String> {
        let query = self
            .dynamodb
            .query()
            .table_name("items")
            .key_condition_expression("pk = :p");
        let query = query.expression_attribute_values(":p", AttributeValue::S("p".into()));
        let page = query.send().await.unwrap();
        page.items()
            .iter()
            .map(|item| item["sk"].as_s().unwrap().clone())
            .collect()
    }
}

#[tokio::test]
async fn transactions_and_queries() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    stack.table().await;
    stack.transact(&["b", "a"]).await.unwrap();
    let error = stack.transact(&["c", "a"]).await.unwrap_err();
    let aws_sdk_dynamodb::Error::TransactionCanceledException(error) = error else {
        panic!("{error}");
    };
    let codes: Vec<_> = error
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(stack.query().await, ["a", "b"]);

    stack.local.shutdown().await;
    let stack = Stack::start(dir.path()).await;
    assert_eq!(stack.query().await, ["a", "b"]);
}

#[tokio::test]
async fn errors_have_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start(dir.path()).await;
    let put = |table: &str, item| {
        stack
            .dynamodb
            .put_item()
            .table_name(table)
            .set_item(Some(item))
            .send()
    };
    let error = put("missing", item("a")).await.unwrap_err();
    assert!(error.into_service_error().is_resource_not_found_exception());
    stack.table().await;
    let mut odd = item("a");
    odd.insert("set".into(), AttributeValue::Ss(Vec::new()));
    let error = put("items", odd).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    assert!(
        error.message().unwrap().contains("set"),
        "{:?}",
        error.message()
    );
    let mut odd = item("a");
    odd.insert("n".into(), AttributeValue::N("1e999".into()));
    let error = put("items", odd).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
    let error = put("items", HashMap::new()).await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationException"));
}
