-- Tables, constraints, indexes and many rows, in transactions; one of them rolled back.
pragma foreign_keys = on;
create table country(id integer primary key, name text not null unique);
create table city(id integer primary key, name text not null, country integer references country(id),
                  people integer check (people >= 0), founded integer);
create index city_by_people on city(people desc);
create index city_by_country on city(country, name);
create table blobs(id integer primary key, data blob, kind text default 'none');
create table wide(a, b, c, d, e, f, g, h, primary key (a, b)) without rowid;

begin;
insert into country(name) values ('Arcadia'), ('Borduria'), ('Cimmeria'), ('Utopia');
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
insert into city(name, country, people, founded)
  select printf('%s-%04d', char(65 + i % 26, 97 + i * 7 % 26), i), nullif(1 + i % 5, 5),
         i * 7919 % 100003, 1000 + i * 31 % 1000 from n;
insert into blobs(data) values (zeroblob(100000)), (x'00ff10'), (x''), (null);
with recursive n(i) as (select 0 union all select i + 1 from n where i < 2999)
insert into wide select i % 60, i / 60, i * i, -i, i / 3.0, 'text ' || i, null, x'ab' from n;
commit;

begin;
delete from city;
drop table blobs;
select 'inside', count(*) from city;
rollback;

savepoint a;
update city set people = 0;
savepoint b;
delete from wide;
rollback to b;
release b;
rollback to a;
release a;

select count(*), sum(people), min(founded), max(founded) from city;
select count(*), sum(c), total(e) from wide;
select id, length(data), typeof(data), kind, hex(substr(data, 1, 4)) from blobs;
select name, type from sqlite_master order by name;
pragma integrity_check;
