/*M!999999\- enable the sandbox mode */ 
-- MariaDB dump 10.19-11.4.2-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: xboard
-- ------------------------------------------------------

/*M!100616 SET @OLD_NOTE_VERBOSITY=@@NOTE_VERBOSITY, NOTE_VERBOSITY=0 */;

CREATE TABLE `v2_plan` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `group_id` int(10) unsigned DEFAULT NULL,
  `transfer_enable` bigint(20) unsigned DEFAULT NULL COMMENT 'Transfer limit in bytes',
  `name` varchar(255) NOT NULL,
  `prices` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL COMMENT 'Store different duration prices and reset traffic price' CHECK (json_valid(`prices`)),
  `sell` tinyint(1) NOT NULL DEFAULT 0 COMMENT 'is sell',
  `speed_limit` int(10) unsigned DEFAULT NULL COMMENT 'Speed limit in Mbps, 0 for unlimited',
  `device_limit` int(10) unsigned DEFAULT NULL,
  `show` tinyint(1) NOT NULL DEFAULT 0,
  `sort` int(11) DEFAULT NULL,
  `renew` tinyint(1) NOT NULL DEFAULT 1,
  `content` text DEFAULT NULL,
  `tags` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`tags`)),
  `reset_traffic_method` int(11) DEFAULT 0 COMMENT '重置流量方式:null跟随系统设置、0每月1号、1按月重置、2不重置、3每年1月1日、4按年重置',
  `capacity_limit` int(11) unsigned DEFAULT 0 COMMENT '0 for unlimited',
  `created_at` int(11) NOT NULL,
  `updated_at` int(11) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
INSERT INTO `v2_plan` (`id`, `group_id`, `transfer_enable`, `name`, `prices`, `sell`, `speed_limit`, `device_limit`, `show`, `sort`, `renew`, `content`, `tags`, `reset_traffic_method`, `capacity_limit`, `created_at`, `updated_at`) VALUES (1, 1, 100, 'Five \"devices\"', '{\"monthly\": 10, \"half_yearly\": 50.5, \"onetime\": null, \"reset_traffic\": 3}', 1, NULL, 5, 1, NULL, 1, NULL, NULL, NULL, NULL, 1740000000, 1740000000);
INSERT INTO `v2_plan` (`id`, `group_id`, `transfer_enable`, `name`, `prices`, `sell`, `speed_limit`, `device_limit`, `show`, `sort`, `renew`, `content`, `tags`, `reset_traffic_method`, `capacity_limit`, `created_at`, `updated_at`) VALUES (2, 1, 100, 'Free', NULL, 0, NULL, NULL, 0, NULL, 1, NULL, NULL, NULL, NULL, 1740000000, 1740000000);
CREATE TABLE `v2_user` (
  `id` bigint(20) DEFAULT NULL,
  `invite_user_id` bigint(20) DEFAULT NULL,
  `telegram_id` bigint(20) DEFAULT NULL,
  `email` varchar(64) NOT NULL,
  `password` varchar(64) NOT NULL,
  `password_algo` bigint(20) DEFAULT NULL,
  `password_salt` bigint(20) DEFAULT NULL,
  `balance` bigint(20) DEFAULT NULL,
  `discount` bigint(20) DEFAULT NULL,
  `commission_type` bigint(20) DEFAULT NULL,
  `commission_rate` bigint(20) DEFAULT NULL,
  `commission_balance` bigint(20) DEFAULT NULL,
  `t` bigint(20) DEFAULT NULL,
  `u` bigint(20) DEFAULT NULL,
  `d` bigint(20) DEFAULT NULL,
  `transfer_enable` bigint(20) DEFAULT NULL,
  `banned` bigint(20) DEFAULT NULL,
  `is_admin` bigint(20) DEFAULT NULL,
  `last_login_at` bigint(20) DEFAULT NULL,
  `is_staff` bigint(20) DEFAULT NULL,
  `last_login_ip` bigint(20) DEFAULT NULL,
  `uuid` varchar(36) NOT NULL,
  `group_id` bigint(20) DEFAULT NULL,
  `plan_id` bigint(20) DEFAULT NULL,
  `speed_limit` bigint(20) DEFAULT NULL,
  `remind_expire` bigint(20) DEFAULT NULL,
  `remind_traffic` bigint(20) DEFAULT NULL,
  `token` char(32) NOT NULL,
  `expired_at` bigint(20) DEFAULT NULL,
  `next_reset_at` bigint(20) DEFAULT NULL,
  `last_reset_at` bigint(20) DEFAULT NULL,
  `reset_count` bigint(20) DEFAULT NULL,
  `device_limit` bigint(20) DEFAULT NULL,
  `online_count` bigint(20) DEFAULT NULL,
  `last_online_at` timestamp NULL DEFAULT NULL,
  `remarks` text DEFAULT NULL,
  `created_at` bigint(20) DEFAULT NULL,
  `updated_at` bigint(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `email` (`email`),
  KEY `idx_next_reset_at` (`next_reset_at`)
) ENGINE=InnoDB;
INSERT INTO `v2_user` (`id`, `invite_user_id`, `telegram_id`, `email`, `password`, `password_algo`, `password_salt`, `balance`, `discount`, `commission_type`, `commission_rate`, `commission_balance`, `t`, `u`, `d`, `transfer_enable`, `banned`, `is_admin`, `last_login_at`, `is_staff`, `last_login_ip`, `uuid`, `group_id`, `plan_id`, `speed_limit`, `remind_expire`, `remind_traffic`, `token`, `expired_at`, `next_reset_at`, `last_reset_at`, `reset_count`, `device_limit`, `online_count`, `last_online_at`, `remarks`, `created_at`, `updated_at`) VALUES
(1, NULL, NULL, 'admin@demo.example', '$2y$10$abcdefghijklmnopqrstuv', NULL, NULL, 0, NULL, 0, NULL, 0, 1770000000, 1234567, 7654321, 107374182400, 0, 1, NULL, 0, NULL, '00000000-0000-4000-8000-000000000001', 1, NULL, NULL, 1, 1, '00000000000000000000000000000001', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1660000000, 1770000000);
INSERT INTO `v2_user` (`id`, `invite_user_id`, `telegram_id`, `email`, `password`, `password_algo`, `password_salt`, `balance`, `discount`, `commission_type`, `commission_rate`, `commission_balance`, `t`, `u`, `d`, `transfer_enable`, `banned`, `is_admin`, `last_login_at`, `is_staff`, `last_login_ip`, `uuid`, `group_id`, `plan_id`, `speed_limit`, `remind_expire`, `remind_traffic`, `token`, `expired_at`, `next_reset_at`, `last_reset_at`, `reset_count`, `device_limit`, `online_count`, `last_online_at`, `remarks`, `created_at`, `updated_at`) VALUES
(2, NULL, NULL, 'alice@mail.example', '$2y$10$abcdefghijklmnopqrstuv', NULL, NULL, 1050, NULL, 0, NULL, 0, 1770000000, 1234567, 7654321, 107374182400, 0, 0, NULL, 0, NULL, '00000000-0000-4000-8000-000000000002', 1, 1, NULL, 1, 1, '00000000000000000000000000000002', 1774958400, 1772798400, NULL, 3, 5, 1, '2026-02-28 22:58:11', NULL, 1660000000, 1770000000);
INSERT INTO `v2_user` (`id`, `invite_user_id`, `telegram_id`, `email`, `password`, `password_algo`, `password_salt`, `balance`, `discount`, `commission_type`, `commission_rate`, `commission_balance`, `t`, `u`, `d`, `transfer_enable`, `banned`, `is_admin`, `last_login_at`, `is_staff`, `last_login_ip`, `uuid`, `group_id`, `plan_id`, `speed_limit`, `remind_expire`, `remind_traffic`, `token`, `expired_at`, `next_reset_at`, `last_reset_at`, `reset_count`, `device_limit`, `online_count`, `last_online_at`, `remarks`, `created_at`, `updated_at`) VALUES
(3, NULL, NULL, 'plain@mail.example', '$2y$10$abcdefghijklmnopqrstuv', NULL, NULL, 700, NULL, 0, NULL, 0, 1770000000, 1234567, 7654321, 107374182400, 0, 0, NULL, 0, NULL, '00000000-0000-4000-8000-000000000003', 1, NULL, NULL, 1, 1, '00000000000000000000000000000003', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1660000000, 1770000000);
INSERT INTO `v2_user` (`id`, `invite_user_id`, `telegram_id`, `email`, `password`, `password_algo`, `password_salt`, `balance`, `discount`, `commission_type`, `commission_rate`, `commission_balance`, `t`, `u`, `d`, `transfer_enable`, `banned`, `is_admin`, `last_login_at`, `is_staff`, `last_login_ip`, `uuid`, `group_id`, `plan_id`, `speed_limit`, `remind_expire`, `remind_traffic`, `token`, `expired_at`, `next_reset_at`, `last_reset_at`, `reset_count`, `device_limit`, `online_count`, `last_online_at`, `remarks`, `created_at`, `updated_at`) VALUES
(4, NULL, NULL, 'trial@mail.example', '$2y$10$abcdefghijklmnopqrstuv', NULL, NULL, 0, NULL, 0, NULL, 0, 1770000000, 1234567, 7654321, 107374182400, 0, 0, NULL, 0, NULL, '00000000-0000-4000-8000-000000000004', 1, 2, NULL, 1, 1, '00000000000000000000000000000004', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1660000000, 1770000000);
-- Dump completed on 2026-02-28 23:00:00
